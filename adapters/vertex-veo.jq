# SPDX-License-Identifier: Apache-2.0
#
# Veo on Vertex AI: POST /models/{model}:predictLongRunning, POST /models/{model}:fetchPredictOperation with the name of
# the operation. The credential is the JSON key of a service account, or an API key (express mode).
#
# Sources: the vendor's npm SDK on the wire (paths, requests, answers, express mode: wire) and its types (filtered results,
# what a video holds: sdk); documentation (parameters, errors, what each model takes, objects of Cloud Storage:
# documented); public gateways (polls every 10 to 15 seconds: third-party).
#
# Not established: which of the error codes of an operation a refusal by policy has; it is known by its text. How long an
# operation without `storage_uri` can be asked for its video.
#
# What it cannot do: cancel (there is no such call), progress, a wait apart from the work, images by URL, to be called back.
#
# Options: storage_uri: gs://bucket/folder/ (without it the video comes as base64 within the answer); generate_audio: true |
# false; person_generation: allow_all | allow_adult | dont_allow; storage_api: where Cloud Storage is, for a relay that has
# both at one address; body: an object laid over the request, group by group ({parameters: {compressionQuality:
# "lossless"}}).

def about:
  { summary: "Veo video models on Vertex AI.",
    evidence: "third-party",
    base_url: null, # it names the project and the location
    hosts: ["storage.googleapis.com"],
    auth: {kind: "google_service_account", scope: "https://www.googleapis.com/auth/cloud-platform"},
    submit: {total_s: 120}, # images go along as base64
    poll: {first_s: 20, every_s: 10, longest_s: 60},
    result: {life_s: null, renews: false, auth: true},
    models:
      [ {name: "veo-3.1*", durations: [4, 6, 8], aspect_ratios: ["16:9", "9:16"],
         resolutions: ["720p", "1080p", "4k"], images: {least: 0, most: 3}},
        {name: "veo-3*", durations: [4, 6, 8], aspect_ratios: ["16:9", "9:16"],
         resolutions: ["720p", "1080p"], images: {least: 0, most: 1}},
        {name: "veo-2*", durations: {least: 5, most: 8}, aspect_ratios: ["16:9", "9:16"],
         resolutions: ["720p"], images: {least: 0, most: 3}} ]
  };

# ---- what is asked ----

# Of Veo 2 the numbered models (veo-2.0-generate-001) take none; veo-2.0-generate-exp, which the Gemini API does not have,
# takes three (documented).
def references_most: if test("^veo-(2\\.0-generate-0|3\\.0|3\\.1-lite)") then 0 else 3 end;

# What the Gemini API does not take.
def further:
  { parameters:
      { seed: .task.seed,
        sampleCount: 1,
        generateAudio: .task.options.generate_audio,
        storageUri: .task.options.storage_uri } };

def submit: refuse_or(veo_why_not(.task.model | references_most); veo_create(further));

# The model stands in the path of the poll, too.
def submitted:
  {model: .task.model} as $keep
  | job_or("operation"; .body | veo_name; google_refusal)
  | if .job != null then . + {keep: $keep} else . end;

# ---- how it stands ----

def poll:
  { method: "POST",
    path: "/models/\(.keep.model // .task.model):fetchPredictOperation",
    json: {operationName: .job} };

# gs://bucket/folder/name.mp4 as Cloud Storage's JSON API serves it.
def object_of($storage):
  capture("^gs://(?<bucket>[a-z0-9][a-z0-9._-]*)/(?<name>.+)$")
  | {url: "\($storage)/storage/v1/b/\(.bucket)/o/\(.name | @uri)?alt=media"};

def output_of($storage):
  (.bytesBase64Encoded | select(type == "object" and has("$blob")) | {blob: .}),
  (.gcsUri | strings | object_of($storage));

def result($storage): (at("response") // {}) | veo_result([google_list_at("videos")[] | output_of($storage)]);

def polled:
  (.task.options.storage_api // "https://storage.googleapis.com") as $storage
  | polled_by(veo_verdict(result($storage)));
