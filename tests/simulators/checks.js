// SPDX-License-Identifier: Apache-2.0
//
// What several vendors ask of a value. Those that need to be told more first return the question.

export const isText = (value) => typeof value === 'string';
export const isFlag = (value) => typeof value === 'boolean';
export const isWhole = (least, most) => (value) => Number.isInteger(value) && value >= least && value <= most;
export const isOneOf = (...words) => (value) => words.includes(value);

// A URL or a data URI.
export const isImage = (value) => isText(value) && /^(https?:\/\/|data:image\/[a-z]+;base64,)/.test(value);
