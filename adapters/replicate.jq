# SPDX-License-Identifier: Apache-2.0
#
# Replicate: POST /models/{owner}/{name}/predictions, or /predictions with a version, or a deployment's; then GET and
# cancel of /predictions/{id}. The upstream's name of a model is owner/name, owner/name:version, a version alone, or
# deployments/owner/name; each model has an input of its own.
#
# Sources: the vendor's npm client on the wire (paths, auth, bodies, cancel: wire) and its types (the prediction, status
# words: sdk); documentation (deadlines and what they cost, an hour's life of data, throttling, webhooks: documented);
# errors as others met them (E005 is a content policy's: third-party).
#
# What it cannot do: tell progress (there are only logs), choose the job's id, know a model's input. What a model calls
# its fields is the channel's to say.
#
# Options: duration: number | text | seconds | none (8, "8", "8s", left out; default number); fields: an object from our
# names (prompt, negative_prompt, aspect_ratio, resolution, duration, seed, width, height, enhance_prompt, image,
# last_image, reference_images) to the model's, null leaves one out; result: a JSON pointer to the URL within the output,
# where it is not the first one of a video; body: an object laid over the input.

def about:
  { summary: "Any video model on Replicate.",
    evidence: "third-party",
    base_url: "https://api.replicate.com/v1",
    auth: {kind: "bearer"},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 10, every_s: 5, longest_s: 60},
    result: {life_s: 3600, renews: false, auth: false},
    cancel: {while: ["pending", "rendering"]},
    models: []
  };

# ---- what is asked ----

# Where the prediction of a model is made, and which version it names; null where it is none of these.
def place_of:
  if test("^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+:)?[0-9a-f]{64}$") then {path: "/predictions", version: .[-64:]}
  elif fields_is_path | not then null
  elif test("^deployments/[^/]+/[^/]+$") then {path: "/\(.)/predictions"}
  elif test("^[^/]+/[^/]+$") then {path: "/models/\(.)/predictions"}
  else null
  end;

# What many models call these; the others have no common name.
def default_fields:
  { prompt: "prompt", negative_prompt: "negative_prompt", aspect_ratio: "aspect_ratio", duration: "duration",
    seed: "seed", image: "image" };

def create_body($version; $input):
  (.callback | https_only) as $callback
  | { version: $version,
      input: $input,
      webhook: $callback,
      webhook_events_filter: (if $callback == null then null else ["completed"] end) }
  | drop_nulls;

def why_not:
  if .task.model | place_of == null then
    "the model must be owner/name, owner/name:version, or deployments/owner/name, not \(.task.model)"
  else fields_why_not("model"; default_fields)
  end;

def submit:
  (.task.model | place_of) as $place
  | refuse_or(why_not;
      fields_input(default_fields) as $input
      | {method: "POST", path: $place.path, json: (.task | create_body($place.version; $input))});

# ---- how it is refused ----

# E005 of a model, or what it says of its checks.
def tells_of_moderation: test("\\bE005\\b|flagged as sensitive|nsfw|content.?polic|moderat|safety (system|check|filter)"; "i");

# "Request was throttled. Your rate limit resets in ~30s."
def resets_in: [capture("resets in ~?(?<s>[0-9]+)"; "i") | .s | tonumber] | .[0];

def message_of: [text_of, text_at("title")] | map(select(. != "")) | .[0] // "";

def kind_of_refusal($message):
  if .status == 422 and ($message | tells_of_moderation) then "moderated" else .status | kind_of_status end;

def submitted:
  (.body | message_of) as $message
  | job_or("prediction"; texts("body.id")[0];
           refusal(""; $message; kind_of_refusal($message); if .status == 429 then $message | resets_in else null end));

# ---- how it stands ----

def poll: {method: "GET", path: "/predictions/\(.job | @uri)"};

# `aborted`: its deadline passed before it began. It was not paid for, so another attempt may be made.
def state_of_word:
  { starting: "pending", processing: "rendering", succeeded: "done", failed: "failed", canceled: "cancelled",
    aborted: "aborted" };

# Told of every end: what ran is paid for, however it ended.
def usage_of: at("metrics") | if type == "object" then . else null end;

def failure:
  (.error | if type == "string" then . elif . == null then "" else tojson end) as $message
  | failed([$message | capture("\\b(?<code>E[0-9]{3,4})\\b") | .code] | .[0] // "prediction_failed";
           or_else($message; "the prediction failed without a reason");
           if $message | tells_of_moderation then "moderated" else "failed" end);

def is_of_a_video: test("^[^?#]*\\.(mp4|webm|mov|mkv|m4v)([?#]|$)"; "i");

# The output is a URL, a list of them, or an object.
def video_url($pointer):
  if ($pointer | type) == "string" and ($pointer | test("[^/]")) then
    texts($pointer | ltrimstr("/") | gsub("/"; ".")) | map(select(is_url)) | .[0]
  else [.. | select(is_url)] | (map(select(is_of_a_video)) + .)[0]
  end;

def result($pointer):
  (.output | video_url($pointer)) as $url
  | {state: "done", outputs: (if $url == null then [] else [{url: $url}] end)};

# An hour after its end the data goes: the video was made, and is no longer there.
def told($pointer):
  by_word("status"; state_of_word;
          if .data_removed == true and .output == null then {state: "gone"} else result($pointer) end;
          failure)
  | if .state == "aborted" then failed("aborted"; "the prediction's deadline passed before it began"; "failed") else . end;

def verdict($pointer): with_usage(usage_of; told($pointer));

def polled:
  .task.options.result as $pointer
  | if is_not_found then {state: "gone"}
    elif is_success | not then unclear_answer(""; .body | message_of)
    elif (.body | type) != "object" then {state: "unclear", message: "the answer to the query is no prediction"}
    else if_named("id"; .body | verdict($pointer))
    end;

# ---- cancel ----

def cancel: {method: "POST", path: "/predictions/\(.job | @uri)/cancel"};

# It answers the prediction: one that had ended keeps its word. One that still runs was told to stop.
def cancelled:
  text_at("body.status") as $word
  | (if at("body.completed_at") == null then null else .body | usage_of end) as $usage
  | { state:
        (if .status == 404 then "finished"
         elif is_success then
           (if $word == "succeeded" or $word == "failed" then "finished"
            elif state_of_word[$word] != null then "cancelled"
            else "unclear"
            end)
         elif .status == 400 or .status == 409 or .status == 422 then "refused"
         else "unclear"
         end) }
  | with_usage($usage; .);
