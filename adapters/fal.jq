# SPDX-License-Identifier: Apache-2.0
#
# The fal queue: POST https://queue.fal.run/{app}, whose answer names the URLs to ask for the status, the result and
# the cancel. The model of a channel is the app's path, e.g. fal-ai/veo3/fast; each app has its own input.
#
# Sources: the vendor's npm client on the wire (paths, auth, statuses 202 and 200, cancel: wire); its documentation
# (the returned URLs, error headers, that a failed run answers its error as the result: documented).
#
# What it cannot do: tell progress (there are only logs), choose the job's id, know an app's input. What an app calls
# its fields is the channel's to say.
#
# Options: duration: number | text | seconds | none (8, "8", "8s", left out; default number); fields: an object from
# our names (prompt, negative_prompt, aspect_ratio, resolution, duration, seed, width, height, enhance_prompt, image,
# last_image, reference_images) to the app's, null leaves one out; result: a JSON pointer to the URL, where it is not
# /video/url; body: an object laid over the input.

def about:
  { summary: "Any video app behind the fal queue.",
    evidence: "documented",
    base_url: "https://queue.fal.run",
    auth: {kind: "header", name: "Authorization", prefix: "Key "},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 5, every_s: 3, longest_s: 30},
    result: {life_s: null, renews: false, auth: false},
    cancel: {while: ["pending", "rendering"]},
    models: []
  };

# ---- what is asked ----

# What the apps of most vendors call these; the others have no common name.
def default_fields:
  { prompt: "prompt", negative_prompt: "negative_prompt", aspect_ratio: "aspect_ratio", duration: "duration",
    seed: "seed", image: "image_url" };

def submit:
  .task as $task
  | refuse_or(
      if $task.model | fields_is_path | not then
        "the model must be the path of an app, as fal-ai/veo3, not \($task.model)"
      else fields_why_not("app"; default_fields)
      end;
      {method: "POST", path: "/\($task.model)", json: fields_input(default_fields)}
      + (if $task.callback == null then {} else {query: {fal_webhook: $task.callback}} end));

# ---- how it is refused ----

def error_type:
  texts("headers.x-fal-error-type", "body.detail.0.type", "body.detail.1.type", "body.error_type")
  | (map(select(. == "content_policy_violation")) + .)[0] // "";

def kind_of($kind): if error_type == "content_policy_violation" then "moderated" else $kind end;

# A locked account is told with 403, as a bad key is; either way the credential is not fit.
def kind_of_refusal:
  if .status == 403 and (.body | text_of | test("locked|balance"; "i")) then "quota" else .status | kind_of_status end;

# The URLs are the queue's own words: they leave out an app's sub-path, which cannot be known from outside.
def urls_of: {status_url, response_url, cancel_url} | with_entries(select(.value | type == "string" and . != ""));

def submitted:
  texts("body.request_id")[0] as $job
  | if is_success | not then refusal(error_type; .body | text_of; kind_of(kind_of_refusal))
    elif $job == null then no_job("request_id")
    else {job: $job, keep: (.body | urls_of)}
    end;

# ---- how it stands: step 0 asks for the status, step 1 for the result ----

# Where the answer named no URL (never seen) it is built as the vendor's client does, from owner and app.
def place($url; $tail):
  if $url != null then {url: $url}
  else {path: "/\(.task.model | split("/")[0:2] | join("/"))/requests/\(.job | @uri)\($tail)"}
  end;

# A failed run answers its own status at the result, so there all of them are heeded.
def poll:
  if .step == 0 then {method: "GET"} + place(.keep.status_url; "/status")
  else {method: "GET", heed: ["4xx", "5xx"]} + place(.keep.response_url; "")
  end;

def state_of_word: {"IN_QUEUE": "pending", "IN_PROGRESS": "rendering", "COMPLETED": "result"};

def unclear_of($what):
  {state: "unclear", message: "the \($what) was answered with HTTP \(.status): \(or_else(.body | text_of; "no message"))"};

def status_polled:
  if is_not_found then {state: "gone"}
  elif is_success | not then unclear_of("status")
  else
    text_at("body.status") as $word
    | (at("body.queue_position") | if type == "number" and . >= 0 then . else null end) as $position
    | state_of_word[$word] as $state
    | if $state == "pending" then {state: "pending", queue_position: $position} | drop_nulls
      elif $state == "rendering" then {state: "rendering"}
      elif $state == "result" then {next: true, keep: .keep}
      else unknown_word("status"; $word)
      end
  end;

def video_url($pointer):
  texts(($pointer | strings | ltrimstr("/") | gsub("/"; ".")),
        "video.url", "video", "videos.0.url", "videos.0", "video_url", "output.video.url")
  | map(select(is_url))
  | .[0];

def result:
  .task.options.result as $pointer
  | (.body | video_url($pointer)) as $url
  | {state: "done", outputs: (if $url == null then [] else [{url: $url}] end)};

# Does the run itself speak, or somebody before it? The platform marks what it says of a run; a model lists what is wrong
# with the body that was submitted, which a query has none of. Of a server's error the header alone tells.
def is_marked: texts("headers.x-fal-error-type", "body.error_type") != [];

def is_of_the_input:
  any(at("body.detail") | arrays | .[]; type == "object" and at("type") != null and at("loc.0") == "body");

# What the platform may as well say of this query, of which it has runners and clients, too.
def may_be_of_the_query:
  text_at("headers.x-fal-error-type") as $type
  | $type == "client_disconnected"
    or .status >= 500 and ($type | test("^(|internal_error|request_timeout|client_.*|runner_.*)$"));

def is_of_the_run: (may_be_of_the_query | not) and (is_marked or is_of_the_input);

def run_failed($kind):
  failed(or_else(error_type; "http_\(.status)"); or_else(.body | text_of; "the run failed with HTTP \(.status)");
         kind_of($kind));

def result_polled:
  if is_success then result
  elif .status == 400 and (.body | text_of | test("still in progress"; "i")) then {state: "rendering"}
  elif is_not_found and (is_marked | not) then {state: "gone"}
  # Of the queue, or of this credential: no verdict on the run, which may have gone well, and is paid for.
  elif [.status] | inside([408, 425, 429]) then unclear_of("result")
  elif ([.status] | inside([401, 402, 403])) and (is_marked | not) then unclear_of("result")
  elif is_of_the_run then run_failed(if .status < 500 then "refused" else "failed" end)
  else unclear_of("result")
  end;

def polled: if .step == 0 then status_polled else result_polled end;

# ---- cancel: certain while queued, the best that can be done while running ----

def cancel: {method: "PUT"} + place(.keep.cancel_url; "/cancel");

# 202 CANCELLATION_REQUESTED; 400 ALREADY_COMPLETED; 404 NOT_FOUND: nothing is left to stop.
def cancelled:
  { state:
      (if is_page then "unclear"
       elif is_success then "cancelled"
       elif .status == 404 or (.status == 400 and at("body.status") == "ALREADY_COMPLETED") then "finished"
       elif .status == 400 then "refused"
       else "unclear"
       end)
  };
