# An adapter: how filmgate speaks to one upstream API. It is nothing but function definitions in jq 1.6; each takes one
# JSON value and gives exactly one. No function sees a credential, a clock or the network: filmgate sends what `submit`
# and `poll` ask for, adds the credential, and hands the answers to `submitted` and `polled`.
# The contract, and the functions that every adapter may use, are in docs/ADAPTERS.md. Try it: filmgate adapters test NAME.jq
#
# The API: POST /v1/jobs takes a job, GET /v1/jobs/ID tells its state, DELETE /v1/jobs/ID cancels it.
#
# Sources: where each fact is from, and how sure it is.
#
# What it cannot do: what the API has and this adapter does not.
#
# Options: what it reads of the channel's `options`; none.

# Runs once, at the start. Input: null.
def about: {
  summary: "A generic API of jobs: the template of an adapter.",
  evidence: "documented",                       # of the weakest fact below: wire, sdk, documented or third-party
  base_url: null,                               # null: the channel must set it
  auth: {kind: "bearer"},                       # or {kind: "header", name: "X-Api-Key", prefix: "Key "}, query, none, …
  submit: {total_s: 60},
  poll: {first_s: 10, every_s: 5, longest_s: 60},
  result: {life_s: 3600, renews: true, auth: false},
  cancel: {while: ["pending", "rendering"]},
  models: [{
    name: "*",                                  # the first that matches counts
    durations: {least: 4, most: 12},
    images: {least: 0, most: 1}
  }]
};

# Task to request. Input: {task, step, keep}.
def submit: first_image as $image | .task | {
  method: "POST",
  path: "/v1/jobs",
  json: ({
    model: .model,
    prompt: .prompt,
    negative_prompt: .negative_prompt,
    seconds: .duration,
    size: "\(.width)x\(.height)",
    seed: .seed,
    # The first form that can be had is put in: the image's own URL, or its bytes; without an image it is null.
    image: image($image; ["url", "data_uri"])
  } | drop_nulls)
};

# The answer to it: accepted or not? Every status comes here. Input: {task, step, keep, status, headers, body, text}.
def submitted: job_or("id"; .body | text_at("id"); refusal(""; .body | text_of; .status | kind_of_status));

# Job to request. Input: {task, job, step, keep}.
def poll: {method: "GET", path: "/v1/jobs/\(.job | @uri)"};

# The answer to it, by the word for a state. Trouble (408, 425, 429, 5xx) never comes here. Input as for `submitted`, with `job`.
# A failure that does not name the job may be the error of somebody before the API.
def states: {queued: "pending", running: "rendering", done: "done", failed: "failed", cancelled: "cancelled"};

def result: {state: "done", outputs: outputs_at("video_url")};

def failure:
  or_else(text_at("error.code"); "job_failed") as $code
  | failed($code; text_of; if $code == "content_policy" then "moderated" else "failed" end);

def progress: at("percent") | if type == "number" then . / 100 else null end;

def verdict:
  progress as $progress
  | by_word("state"; states; result; failure)
  | if .state == "rendering" then . + {progress: $progress} | present else . end;

def polled: if_named("id"; polled_by(verdict));

# Leave out `cancel` and `cancelled` where the upstream cannot cancel. Input: {task, job, keep, state}.
def cancel: {method: "DELETE", path: "/v1/jobs/\(.job | @uri)"};

# Input as for `polled`.
def cancelled:
  if is_page then {state: "unclear"}
  elif is_success then {state: "cancelled"}
  elif .status == 409 then {state: "finished"}
  else {state: "unclear"} end;
