# SPDX-License-Identifier: Apache-2.0
#
# Kling's newer API: the model stands in the path (POST /text-to-video/kling-3.0, /image-to-video/…, /omni-video/…), and
# one address tells of all tasks (GET /tasks). Here a credential is a plain API key.
#
# Sources: the vendor's pages, read in public copies of September 2026 (paths, bodies, limits, status words, codes,
# billing, callbacks: documented); clients and notes of others who ran it (a second submit with the same
# external_task_id is answered 1201 «already exists», a task is found by it as soon as its submit is answered:
# third-party).
#
# The job's id is half ours: external_task_id carries our attempt's id, is unique within an account, and GET /tasks finds
# a task by it. So a lost answer is cleared up by asking for it; one that is not found stays unknown, for how soon a task
# can be found is not documented.
#
# What it cannot do: cancel (there is no such call), tell progress, motion control, reference videos, elements, voices. A
# seed and a negative prompt have no place.
#
# Options: body: an object laid over the request, group by group (settings: {audio: native}, options: {…}).

def about:
  { summary: "Kling's newer API: text, frames or references to video.",
    evidence: "third-party",
    base_url: "https://api-singapore.klingai.com",
    auth: {kind: "bearer"},
    callback: true,
    job: {chosen: true},
    submit: {total_s: 60},
    poll: {first_s: 30, every_s: 5, longest_s: 60},
    result: {life_s: 2592000, renews: false, auth: false},
    models:
      [ {name: "kling-3.0-turbo", durations: {least: 3, most: 15}, aspect_ratios: ["16:9", "9:16", "1:1"],
         resolutions: ["720p", "1080p"], images: {least: 0, most: 1}},
        {name: "kling-3.0-omni", durations: {least: 3, most: 15}, aspect_ratios: ["16:9", "9:16", "1:1"],
         resolutions: ["720p", "1080p", "4k"], images: {least: 0, most: 7}},
        {name: "kling-3.0", durations: {least: 3, most: 15}, aspect_ratios: ["16:9", "9:16", "1:1"],
         resolutions: ["720p", "1080p", "4k"], images: {least: 0, most: 2}},
        {name: "kling-o1", durations: {least: 3, most: 10}, aspect_ratios: ["16:9", "9:16", "1:1"],
         resolutions: ["720p", "1080p"], images: {least: 0, most: 7}},
        {name: "kling-2.*", durations: [5, 10], aspect_ratios: ["16:9", "9:16", "1:1"],
         resolutions: ["720p", "1080p"], images: {least: 0, most: 2}} ]
  };

# ---- what is asked ----

# Those that take references have a path of their own, for a text alone, too.
def is_omni: test("-omni$|^kling-o[0-9]");

def images_most: 7;

def prompt_most:
  if .model | test("^kling-(2|o1)") then 2500
  elif (.model | test("turbo")) and (.images | length) > 0 then 2500
  else 3072
  end;

def why_not:
  (.task | prompt_most) as $prompt_most
  | (first_image != null) as $has_first
  | (last_image != null) as $has_last
  | (reference_images | length > 0) as $has_references
  | frames_why_not({last: true}) as $frames
  | .task
  | if .model | test("^[A-Za-z0-9][A-Za-z0-9._-]*$") | not then
      "the model must be a name as it stands in the path, as kling-3.0, not \(.model)"
    elif (.prompt | length) > $prompt_most then "a prompt of this model has at most \($prompt_most) characters"
    elif $has_references and (.model | is_omni | not) then
      "references are for kling-3.0-omni and kling-o1, not for \(.model)"
    elif $frames != null then $frames
    elif $has_last and (.model | test("turbo$")) and (.model | test("^kling-2") | not) then
      "\(.model) takes a first frame alone"
    elif $has_last and (.model | test("^kling-2")) and .resolution != "1080p" then
      "\(.model) takes a last frame with 1080p only"
    elif $has_last and $has_references and .model == "kling-o1" then
      "kling-o1 takes no references beside a first and a last frame"
    elif .model == "kling-o1" and $has_first and ($has_references | not) and (.duration != 5 and .duration != 10) then
      "kling-o1 makes 5 or 10 seconds of a first frame, not \(.duration)"
    elif (.images | length) > images_most then "this API takes \(images_most) images, and the task has \(.images | length)"
    else null
    end;

# Bare base64, without `data:` before it.
def content($type; $index): if $index == null then empty else {type: $type, url: image($index; ["url", "base64"])} end;

def contents:
  [ {type: "prompt", text: .task.prompt},
    content("first_frame"; first_image),
    content("last_frame"; last_image),
    content("refer_image"; reference_images[]) ];

def path_of:
  .model as $model
  | (if $model | is_omni then "omni-video" elif (.images | length) == 0 then "text-to-video" else "image-to-video" end)
  | "/\(.)/\($model | @uri)";

# With a first frame the video takes its shape from that.
def create_body:
  contents as $contents
  | first_image as $first
  | .task
  | ((.images | length) > 0 or (.model | is_omni)) as $has_contents
  | { prompt: (if $has_contents then null else .prompt end),
      contents: (if $has_contents then $contents else null end),
      settings: {resolution, aspect_ratio: (if $first == null then .aspect_ratio else null end), duration},
      options: {callback_url: .callback, external_task_id: .attempt_uuid} }
  | drop_nulls;

def submit: refuse_or(why_not; {method: "POST", path: (.task | path_of), json: with_body(create_body)});

def submitted:
  word_at("body.data.id") as $job
  | if kling_is_ok | not then kling_refusal
    elif $job == "" then no_job("id")
    else {job: $job}
    end;

# ---- how it stands ----

# As long as no answer named the vendor's id, the job's is our own.
def poll:
  { method: "GET", path: "/tasks",
    query: (if .job == .task.attempt_uuid then {external_task_ids: .job} else {task_ids: .job} end) };

def state_of_word: {submitted: "pending", processing: "rendering", succeeded: "done", failed: "failed"};

def videos: [at("outputs") | arrays | .[] | objects | select(.type == "video")];

# Units of a package, or money of the balance.
def charge: {charge_type, cash_type, amount, currency, package_type, list_price} | drop_nulls;

def usage_of:
  { duration: (videos[0] | at("duration")),
    billing: ([at("billing") | arrays | .[] | objects | charge] | if length == 0 then null else . end) }
  | drop_nulls;

def failure: kling_failed(text_at("message"));

def result: {state: "done", outputs: ([videos[] | outputs_at("url")[]] | .[0:1])};

def verdict: with_usage(usage_of; by_word("status"; state_of_word; result; failure));

# Only an empty list says that there is no such task. An old host answers 404 to /tasks, whatever it is asked for.
def polled:
  .job as $job
  | at("body.data") as $tasks
  | [ $tasks | arrays | .[] | objects
      | select(word_at("id") == $job or word_at("external_id") == $job) ] as $mine
  | if kling_is_ok | not then unclear_answer(.body | kling_code; .body | text_of)
    elif $tasks == [] then {state: "gone"}
    elif ($mine | length) == 0 then {state: "unclear", message: "the answer to the query does not hold this task"}
    else $mine[0] | verdict
    end;
