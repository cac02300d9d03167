# SPDX-License-Identifier: Apache-2.0
#
# MiniMax's first video API, of the Hailuo models: POST /v1/video_generation, GET /v1/query/video_generation, and once a
# task is done GET /v1/files/retrieve for the file's URL. The H3 models have another API: minimax-h3.
#
# Sources: the vendor's API pages and OpenAPI file (paths, bodies, words, codes, a URL for an hour: documented); types
# of a public client (file_id, backup_download_url: sdk); dated notes of gateways that tried it (errors come with HTTP
# 200, an id that is not known, 2061: third-party).
#
# What it cannot do: cancel (there is no such call), tell progress, a seed, a negative prompt, carry an id of ours. A
# text alone makes a landscape video; with an image the video takes its shape from that.
#
# Options: body: an object laid over the request (fast_pretreatment, prompt_optimizer …).

def about:
  { summary: "MiniMax's Hailuo models over its first video API.",
    evidence: "third-party",
    base_url: "https://api.minimax.io",
    auth: {kind: "bearer"},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 30, every_s: 10, longest_s: 60},
    result: {life_s: 3600, renews: true, auth: false},
    models:
      [ {name: "MiniMax-Hailuo-2.3-Fast", durations: [6, 10], resolutions: ["768p", "1080p"],
         images: {least: 1, most: 1}},
        {name: "MiniMax-Hailuo-2.3*", durations: [6, 10], aspect_ratios: ["16:9"], resolutions: ["768p", "1080p"],
         images: {least: 0, most: 1}},
        {name: "MiniMax-Hailuo-02*", durations: [6, 10], aspect_ratios: ["16:9"],
         resolutions: ["512p", "768p", "1080p"], images: {least: 0, most: 2}},
        {name: "T2V-01*", durations: [6], aspect_ratios: ["16:9"], resolutions: ["720p"], images: {least: 0, most: 0}},
        {name: "I2V-01*", durations: [6], resolutions: ["720p"], images: {least: 1, most: 1}},
        {name: "S2V-01*", durations: [6], aspect_ratios: ["16:9"], resolutions: ["720p"], images: {least: 1, most: 1}}
      ]
  };

# ---- what is asked ----

def is_subject_model: .model | startswith("S2V-01");

def takes_last_frame: .model | startswith("MiniMax-Hailuo-02");

# An image of whatever role but a frame's is the subject.
def why_not_subject:
  if (.images | length) != 1 then "the model \(.model) takes one image, of its subject"
  elif any(.images[]; .role == "first" or .role == "last") then
    "the model \(.model) takes no frames, but an image of its subject"
  else null
  end;

def why_not_frames:
  if any(.images[]; .role == "reference") then "the model \(.model) takes frames, no references"
  elif any(.images[]; .role == "last") and .resolution == "512p" then "a last frame is not for 512P"
  else takes_last_frame as $last | {task: .} | frames_why_not({last: $last, references: 0})
  end;

def why_not_shape:
  if .resolution == "1080p" and .duration > 6 then "1080P is made for 6 seconds only"
  elif is_subject_model then why_not_subject
  else why_not_frames
  end;

def why_not: prompt_why_not(2000) // (.task | why_not_shape);

def image_of($index): image($index; ["url", "data_uri"]);

def create_body($first; $last):
  { model: .model,
    prompt: .prompt,
    prompt_optimizer: .enhance_prompt,
    duration: .duration,
    resolution: (if .resolution == null then null else .resolution | ascii_upcase end),
    first_frame_image: (if is_subject_model then null else image_of($first) end),
    last_frame_image: image_of($last),
    subject_reference: (if is_subject_model then [{type: "character", image: [image_of(0)]}] else null end),
    aigc_watermark: .watermark,
    callback_url: .callback }
  | drop_nulls;

def submit:
  first_image as $first
  | last_image as $last
  | refuse_or(why_not;
      {method: "POST", path: "/v1/video_generation", json: with_body(.task | create_body($first; $last))});

# ---- how it is refused: HTTP 200, and a code that is not 0 ----

# What is not here is judged by the HTTP status, so with 200 nobody knows.
def kind_of_code:
  { "1000": "unknown",
    "1001": "unknown", # a time-out within: it may have been taken
    "1002": "busy",    # requests a minute
    "1004": "auth",
    "1008": "quota",
    "1013": "unknown",
    "1024": "unknown",
    "1026": "moderated", # the prompt or an image
    "1027": "moderated", # the video
    "1033": "unknown",
    "1039": "busy",
    "1041": "busy",
    "1042": "refused", # too many invisible characters
    "2013": "refused", # parameters
    "2045": "busy",    # too many more requests than before
    "2049": "auth",
    "2056": "quota",   # of this window of hours
    "2061": "refused"  # a model that the plan does not have
  };

def code_of: word_at("base_resp.status_code");

def message_of: texts("base_resp.status_msg")[0] // text_of;

# An id beyond 2^53 comes as a text, a smaller one may be a number.
def id_at($path): word_at($path) | if . == "" or . == "0" then null else . end;

def minimax_refusal:
  (.body | code_of) as $code
  | refusal(if $code == "0" then "" else $code end; .body | message_of;
            if .status < 500 then kind_of_code[$code] // (.status | kind_of_status) else "unknown" end);

def submitted:
  (.body | code_of) as $code
  | (.body | id_at("task_id")) as $job
  | if (is_success | not) or ($code != "" and $code != "0" and $job == null) then minimax_refusal
    elif $job == null then no_job("task_id")
    elif $code != "" and $code != "0" then
      { error:
          { code: $code, message: "the submit was answered with the code \($code), and yet with the task \($job)",
            kind: "unknown" } }
    else {job: $job}
    end;

# ---- how it stands: step 0 asks for the task, step 1 for the file ----

def poll:
  if .step == 0 then {method: "GET", path: "/v1/query/video_generation", query: {task_id: .job}}
  else {method: "GET", path: "/v1/files/retrieve", query: {file_id: .keep.file_id}}
  end;

def minimax_unclear: unclear_answer(.body | code_of; .body | message_of);

def state_of_word:
  {Preparing: "pending", Queueing: "pending", Processing: "rendering", Success: "file", Fail: "failed"};

def failure($code):
  (message_of | if . == "success" then "" else . end) as $message
  | failed(if $code == "" or $code == "0" then "task_failed" else $code end;
           or_else($message; "the task failed without a reason");
           kind_of_code[$code] | if . == "moderated" or . == "refused" then . else "failed" end);

# The size is told here, and needed once the file is.
def file_step:
  id_at("file_id") as $file
  | if $file == null then {state: "done", outputs: []}
    else {next: true, keep: ({file_id: $file, video_width, video_height} | drop_nulls)}
    end;

def task_polled:
  (.body | code_of) as $code
  | text_at("body.status") as $word
  | state_of_word[$word] as $state
  | if is_success | not then minimax_unclear
    elif $state == "failed" then if_named("task_id"; .body | failure($code))
    elif $word == "" and kind_of_code[$code] == "moderated" then .body | failure($code)
    elif $code == "2013" and (.body | message_of | test("task.?id"; "i")) then {state: "gone"}
    elif $code != "" and $code != "0" then minimax_unclear
    elif $state == "file" then .body | file_step
    elif $state != null then {state: $state}
    else unknown_word("status"; $word)
    end;

def usage_of: {video_width, video_height} | drop_nulls;

def file_polled:
  (.body | code_of) as $code
  | (texts("body.file.download_url", "body.file.backup_download_url") | map(select(is_url)) | .[0])
    as $url
  | if (is_success | not) or ($code != "" and $code != "0") then
      minimax_unclear | .message |= sub("^the query"; "the look for the file")
    elif $url == null then {state: "unclear", message: "the file \(.keep.file_id) has no URL"}
    else with_usage(.keep | usage_of; {state: "done", outputs: [{url: $url}]})
    end;

def polled: if .step == 0 then task_polled else file_polled end;
