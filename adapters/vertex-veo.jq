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

def references_most: if test("^veo-(2\\.0-generate-0|3\\.0|3\\.1-lite)") then 0 else 3 end;

def why_not:
  if .task.model | test("^[A-Za-z0-9._-]+$") | not then "a model's name of this API has no other signs than - . and _"
  else frames_why_not({last: true, references: (.task.model | references_most), apart: true})
  end;

# Bytes whose type is not known yet are judged by the end of their URL.
def type_of_url:
  (. // "" | sub("[?#].*$"; "") | ascii_downcase) as $path
  | if $path | test("\\.jpe?g$") then "image/jpeg"
    elif $path | test("\\.png$") then "image/png"
    elif $path | test("\\.webp$") then "image/webp"
    else null
    end;

def image_of($index):
  if $index == null then null
  else .task.images[$index] | {bytesBase64Encoded: image($index; ["base64"]), mimeType: (.type // (.url | type_of_url))}
  end;

def references:
  [reference_images[] as $index | {image: image_of($index), referenceType: "asset"}] | if . == [] then null else . end;

# Of Veo 2 there is but one, which is not named.
def resolution_of: .task | if .model | test("^veo-2") then null else .resolution end;

def create_body:
  { instances:
      [ { prompt: .task.prompt,
          image: image_of(first_image),
          lastFrame: image_of(last_image),
          referenceImages: references } ],
    parameters:
      { durationSeconds: .task.duration,
        aspectRatio: .task.aspect_ratio,
        resolution: resolution_of,
        negativePrompt: .task.negative_prompt,
        seed: .task.seed,
        sampleCount: 1,
        generateAudio: .task.options.generate_audio,
        personGeneration: .task.options.person_generation,
        storageUri: .task.options.storage_uri } };

def submit:
  why_not as $why_not
  | if $why_not != null then refuse($why_not)
    else
      { method: "POST", path: "/models/\(.task.model):predictLongRunning",
        json: ((create_body | drop_nulls) * (.task.options.body // {})) }
    end;

# ---- how it is refused ----

def kind_of_code:
  { "INVALID_ARGUMENT": "refused",
    "FAILED_PRECONDITION": "refused",
    "OUT_OF_RANGE": "refused",
    "NOT_FOUND": "refused", # no such model, or a retired one
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "auth",
    "API_KEY_INVALID": "auth", # told with status 400, in express mode
    "RESOURCE_EXHAUSTED": "busy",
    "ABORTED": "busy",
    "UNAVAILABLE": "unknown",
    "DEADLINE_EXCEEDED": "unknown",
    "INTERNAL": "unknown"
  };

def list_at($path): at($path) | if type == "array" then map(objects) else [] end;

def code_of:
  if any(list_at("error.details")[]; .reason == "API_KEY_INVALID") then "API_KEY_INVALID"
  else texts("error.status", "error.code")[0] // ""
  end;

# "34s" or "34.07s"
def retry_after_s: [list_at("error.details")[].retryDelay | strings | rtrimstr("s") | tonumber? // empty] | .[0];

def tells_of_moderation:
  test("safety|prohibited|content.?policy|usage (polic|guideline)|violat|moderat|responsible ai|sensitive"; "i");

def refusal:
  (.body | code_of) as $code
  | (.body | text_of) as $message
  | { code: (if $code == "" then "http_\(.status)" else $code end),
      message: (if $message == "" then "the submit was answered with HTTP \(.status)" else $message end),
      kind:
        (if .status == 400 and $code != "API_KEY_INVALID" and ($message | tells_of_moderation) then "moderated"
         else kind_of_code[$code] // (.status | kind_of_status)
         end),
      retry_after_s: (.body | retry_after_s) }
  | drop_nulls;

# The name of an operation is a path: projects/…/publishers/google/models/{model}/operations/{id}.
def name_of:
  texts("name")[0]
  | if . == null or any(split("/")[]; . == "" or . == "." or . == "..") then null else . end;

def submitted:
  (.body | name_of) as $job
  | if is_success | not then {error: refusal}
    elif $job == null then no_job("operation")
    else {job: $job, keep: {model: .task.model}}
    end;

# ---- how it stands ----

def poll:
  { method: "POST",
    path: "/models/\(.keep.model // .task.model):fetchPredictOperation",
    json: {operationName: .job} };

# What google.rpc.Code says of a task that will never do; the others may pass.
def refused_codes: [3, 5, 9, 11, 12];

def failure:
  (.error.code? // "unknown") as $code
  | (text_of | if . == "" then "the operation failed without a reason" else . end) as $message
  | {state: "failed",
     error:
       { code: ($code | tostring),
         message: $message,
         kind:
           (if $message | tells_of_moderation then "moderated"
            elif refused_codes | index([$code]) != null then "refused"
            else "failed"
            end) }};

def filtered($result):
  ($result | [at("raiMediaFilteredReasons") | arrays | .[] | strings] | join("; ")) as $reasons
  | {state: "failed",
     error:
       { code: "rai_filtered",
         message: (if $reasons == "" then "the video was filtered for reasons of policy" else $reasons end),
         kind: "moderated" }};

# gs://bucket/folder/name.mp4 as Cloud Storage's JSON API serves it.
def object_of($storage):
  capture("^gs://(?<bucket>[a-z0-9][a-z0-9._-]*)/(?<name>.+)$")
  | {url: "\($storage)/storage/v1/b/\(.bucket)/o/\(.name | @uri)?alt=media", auth: true};

def output_of($storage):
  (.bytesBase64Encoded | select(type == "object" and has("$blob")) | {blob: .}),
  (.gcsUri | strings | object_of($storage));

def finished($storage):
  (at("response") // {}) as $result
  | [$result | list_at("videos")[] | output_of($storage)] as $outputs
  | ($result | at("raiMediaFilteredCount") | numbers // 0) as $filtered
  | if $outputs == [] and ($filtered > 0 or ($result | at("raiMediaFilteredReasons.0")) != null) then filtered($result)
    else {state: "done", outputs: $outputs}
    end;

def verdict($storage):
  at("done") as $done
  | if $done == true and at("error") != null then failure
    elif $done == true then finished($storage)
    elif ($done == false or $done == null) and name_of != null then {state: "rendering"}
    else {state: "unclear", message: "the answer is no operation: done is \($done | tojson)"}
    end;

def polled:
  (.task.options.storage_api // "https://storage.googleapis.com") as $storage
  | if is_not_found then {state: "gone"}
  elif is_success | not then unclear_answer
  else .body | verdict($storage)
  end;
