# SPDX-License-Identifier: Apache-2.0
#
# Another gateway of this family: POST /v1/video/create, GET /v1/video/query?id=. That may be a relay, or a second
# filmgate.
#
# Sources: the published pages of the format (documented), what public clients of it send and look for (third-party),
# and filmgate's own API, docs/API.md (wire). The pages of different relays disagree, so this side reads leniently: it
# knows every spelling that was seen, and takes none for granted.
#
# What it cannot do: bind a task to an id of ours (no relay dedupes), remix, extend, characters. Cancel is filmgate's
# own route; no relay documents one: set `options.cancel: true` where the other side is a filmgate.
#
# Options: cancel; size: words | pixels | resolution (how the size is said; default by the model); roles: true (images
# that have a role also go by their role's name); body: an object laid over the request.

def about:
  { summary: "Another gateway of the unified video format.",
    evidence: "third-party",
    base_url: null,
    auth: {kind: "bearer"},
    submit: {total_s: 60},
    poll: {first_s: 15, every_s: 5, longest_s: 60},
    # The shortest life that any of the pages states.
    result: {life_s: 43200, renews: true, auth: false},
    cancel: {while: ["pending", "rendering"]},
    models:
      [ {name: "veo3-pro-frames*", aspect_ratios: ["16:9", "9:16"], images: {least: 0, most: 1}},
        {name: "veo*-frames", aspect_ratios: ["16:9", "9:16"], images: {least: 0, most: 2}},
        {name: "veo*-components", aspect_ratios: ["16:9", "9:16"], images: {least: 0, most: 3}},
        {name: "veo*", aspect_ratios: ["16:9", "9:16"]},
        {name: "grok-video-3*", aspect_ratios: ["2:3", "3:2", "1:1", "16:9", "9:16"]},
        {name: "jimeng-video-3.0*", aspect_ratios: ["16:9", "9:16", "4:3", "3:4", "1:1", "21:9"]}
      ]
  };

# ---- what is asked ----

# How a size is said: sora's `small` and `large`, "1280x720", or "720P".
def size_forms:
  [ {model: "^(grok|jimeng)", form: "resolution"},
    {model: "^(doubao-)?(seedance|kling|wan)", form: "pixels"},
    {model: "", form: "words"}
  ];

def size_form:
  . as $task
  | .options.size // first(size_forms[] | .model as $pattern | select($task.model | test($pattern)) | .form);

def size_of:
  size_form as $form
  | if $form == "pixels" then "\(.width)x\(.height)"
    elif $form == "resolution" then .resolution | ascii_upcase
    elif ([.width, .height] | min) > 480 then "large"
    else "small"
    end;

def image_of($index): image($index; ["url", "data_uri"]);

# First frames before last ones before references: that is how clients of the format order `images`.
def images_in_order:
  {first: 0, input: 0, last: 1, reference: 2} as $rank
  | [.images | to_entries[] | {index: .key, rank: $rank[.value.role]}]
  | sort_by(.rank)
  | map(image_of(.index));

# The input of these two is that of submit.
def frames_by_role:
  { first_frame_image: (first(.task.images | to_entries[] | select(.value.role == "first") | .key) // null),
    last_frame_image: last_image
  }
  | map_values(if . == null then null else image_of(.) end);

def images_by_role:
  if .task.options.roles != true then {}
  elif (reference_images | length) == 0 then frames_by_role
  else frames_by_role + {reference_images: (reference_images | map(image_of(.)))}
  end;

# Of the fields of a client that filmgate itself does not know, those that pages of this format document.
def passed_on:
  (.extra // {}) as $extra
  | [ "private", "storyboard", "character_url", "character_timestamps", "character_from_task", "enable_upsample",
      "image_mode" ]
  | map({key: ., value: $extra[.]})
  | from_entries;

# omni-flash has a dialect of its own: `seconds` as a text, and `type`.
def omni_fields:
  if .model | startswith("omni-flash") | not then {}
  else
    { seconds: (.duration | tostring),
      type:
        (if (.images | length) == 0 then 1
         elif any(.images[]; .role == "reference") then 3
         else 2
         end)
    }
  end;

def create_body:
  { model: .model, prompt: .prompt, images: images_in_order, duration: .duration, orientation: .orientation,
    size: size_of, aspect_ratio: .aspect_ratio, watermark: .watermark, enhance_prompt: .enhance_prompt,
    negative_prompt: .negative_prompt, seed: .seed, style: .style }
  + passed_on + omni_fields;

def submit:
  ((.task | create_body) + images_by_role | drop_nulls) as $body
  | if .task.options.roles == true and (last_images | length) > 1 then refuse("there is one last frame")
    else {method: "POST", path: "/v1/video/create", json: with_body($body)}
    end;

# ---- how it is refused ----

# Two envelopes are in use: {error: {code, type, message}} and {code, message, data: null}.
def code_of: text_at("error.code", "code", "error.type");

def kind_of_code:
  { insufficient_user_quota: "quota",
    pre_consume_token_quota_failed: "quota",
    invalid_api_key: "auth",
    sensitive_words_detected: "moderated",
    prompt_blocked: "moderated",
    sentinel_block: "moderated",
    moderation_blocked: "moderated",
    content_policy_violation: "moderated",
    invalid_request: "refused",
    bad_request_body: "refused",
    image_invalid: "refused",
    image_forbidden: "refused",
    request_too_large: "refused",
    model_not_found: "refused",
    task_not_exist: "refused",
    # They were not accepted, whatever the HTTP status says: no channel had room, or filmgate says so itself. `not_taken` is
    # said of them.
    get_channel_failed: "busy",
    too_many_tasks: "busy",
    daily_limit_reached: "busy",
    queue_full: "busy",
    service_unavailable: "busy",
    storage_unavailable: "busy",
    shutting_down: "busy"
  };

def tells_of_moderation:
  test("sentinel_block|moderat|content.?policy|sensitive.?word|guardrail|nsfw|unsafe|violat"
       + "|safety (filter|system|setting)|public_error_[a-z_]*(unsafe|filter|sexual|minor|violen|people|danger)|违规|敏感|审核"; "i");

def kind_of_answer($code; $message):
  # A relay says so of a name that it does not know, and of one whose upstreams are all out of order for a while.
  if .status == 503 and $code == "model_not_found" then "busy"
  elif kind_of_code[$code] then kind_of_code[$code]
  elif .status == 401 or .status == 402 then .status | kind_of_status
  elif .status >= 400 and ($message | tells_of_moderation) then "moderated"
  else .status | kind_of_status
  end;

# Pages of veo have it in the answer to the submit, others in the query's.
def enhanced: texts("enhanced_prompt", "detail.enhanced_prompt")[0];

def job_of:
  [word_at("id", "task_id", "data.id", "data.task_id") | select(. != "")] | .[0];

def submitted:
  (.body | job_of) as $job
  | (.body | code_of) as $code
  | (.body | text_of) as $message
  | (.status >= 500) as $is_fault
  | if is_success and $job != null then
      {job: $job, keep: (.body | {enhanced_prompt: enhanced})} | drop_nulls
    elif is_success and kind_of_code[$code] == null then no_job("task")
    else
      kind_of_answer($code; $message) as $kind
      | refusal($code; $message; $kind)
      | if $is_fault and $kind == "busy" then .error += {not_taken: true} else . end
    end;

# ---- how it stands ----

def poll: {method: "GET", path: "/v1/video/query", query: {id: .job}};

# Every word that was seen at a relay, in lower case. `unclear`: the word says nothing.
def state_of_word:
  { pending: "pending", queued: "pending", submitted: "pending", created: "pending", waiting: "pending",
    not_start: "pending",
    processing: "rendering", in_progress: "rendering", running: "rendering", generating: "rendering",
    image_downloading: "rendering", image_uploading: "rendering", image_processing: "rendering",
    video_generating: "rendering", video_generation_running: "rendering",
    video_generation_completed: "rendering", # `completed` follows, maybe after an upsampling
    video_upsampling: "rendering", video_upsampling_completed: "rendering",
    completed: "done", complete: "done", success: "done", succeeded: "done", done: "done",
    failed: "failed", failure: "failed", error: "failed", rejected: "failed",
    video_generation_failed: "failed", video_upsampling_failed: "failed",
    cancelled: "cancelled", canceled: "cancelled",
    unknown: "unclear"
  };

# {code: "success", data: {…}} is a wrapper of some relays.
def unwrapped:
  if at("status") == null and (at("data") | type) == "object" then .data else . end;

def word_of: text_at("status") | ascii_downcase;

# The outer word may still say pending when the work has begun.
def inner_state:
  texts("detail.pending_info.status", "detail.status")
  | map(state_of_word[ascii_downcase])
  | if index("rendering") then "rendering" else "pending" end;

# 37, "37", "37%", 0.37
def share_of:
  if type == "string" then (rtrimstr("%") | tonumber? // null | if . == null then null else . / 100 end)
  elif type != "number" then null
  elif . > 0 and . < 1 then .
  else . / 100
  end;

def progress_of:
  (at("detail.pending_info.progress_pct") | numbers) // (at("progress") | share_of)
  | if . == null then null else [[., 0] | max, 1] | min end;

def video_url:
  texts(
    "video_url", "detail.upsample_video_url", "detail.video_url", "detail.url", "url", "result_url", "video.url",
    "output", "outputs.0", "outputs.0.url", "data.output", "data.video_url", "data.url", "metadata.url",
    "creations.0.url", "detail.draft_info.downloadable_url", "detail.draft_info.url")
  | map(select(is_url))
  | .[0];

def failure_text:
  text_at(
    "error_message", "failure_reason", "fail_reason", "reason", "error.message", "error.detail", "error", "message",
    "detail.error_message", "detail.video_generation_error", "detail.error", "detail.error.message",
    "detail.pending_info.failure_reason", "data.fail_reason", "data.error_message", "data.detail.message");

def is_blocked:
  at("detail.pending_info.moderation_result")
  | type == "object" and (.type == "blocked" or .is_output_rejection == true);

def failure:
  code_of as $code
  | failure_text as $message
  | failed(or_else($code; "upstream_failed"); or_else($message; "the task failed without a reason");
           if is_blocked or kind_of_code[$code] == "moderated" then "moderated"
           elif kind_of_code[$code] == "refused" then "refused"
           elif $message | tells_of_moderation then "moderated"
           else "failed"
           end);

def result($enhanced):
  video_url as $url
  | { state: "done", outputs: (if $url == null then [] else [{url: $url}] end), enhanced_prompt: $enhanced }
  | drop_nulls;

def under_way($state):
  { state: (if $state == "pending" then inner_state else $state end),
    progress: progress_of,
    queue_position: ([at("detail.pending_info.progress_pos_in_queue") | numbers | select(. >= 0)] | .[0])
  }
  | drop_nulls;

def verdict($keep):
  word_of as $word
  | (enhanced // ($keep | at("enhanced_prompt"))) as $enhanced
  | (state_of_word[$word] // "unclear") as $state
  | if $state == "pending" or $state == "rendering" then under_way($state)
    elif $state == "done" then result($enhanced)
    elif $word == "video_upsampling_failed" and video_url != null then result($enhanced)
    elif $state == "failed" and code_of == "cancelled" then {state: "cancelled"}
    elif $state == "failed" then failure
    elif $state == "cancelled" then {state: "cancelled"}
    else unknown_word("status"; $word)
    end;

# Does the body tell of a task? By its id, by a member that an error's envelope has not, or by a word that only tasks have.
# `detail.id` lacks what stands before the colon of ours. The input is that of polled.
def is_of_a_task:
  .job as $job
  | any(.body | word_at("id", "task_id", "data.id", "data.task_id", "detail.id");
        . as $id | $id != "" and ($id == $job or ($job | endswith(":" + $id))))
    or any(.body | at("status_update_time", "video_url", "progress", "fail_reason", "failure_reason", "data.status",
                      "data.fail_reason", "data.progress");
           . != null)
    or (at("body.detail") | type) == "object"
    or (.body | text_at("status", "data.status") | test("^video_"; "i"));

# A relay wraps an error of its own in 200 and the word failed, too: it ends no task.
def believed:
  is_of_a_task as $is_of_a_task
  | .keep as $keep
  | .body | unwrapped | verdict($keep)
  | if .state == "failed" and ($is_of_a_task | not) then
      {state: "unclear", message: "a failure that tells of no task: \(.error.message)"}
    else .
    end;

# A filmgate says task_not_exist with status "failed" beside it: the code goes before the word.
def polled:
  if is_not_found or (.body | code_of) == "task_not_exist" then {state: "gone"}
  elif is_success | not then unclear_answer
  else believed
  end;

# ---- cancel: of filmgate only ----

def cancel:
  if .task.options.cancel == true then {method: "POST", path: "/v1/video/cancel", json: {id: .job}} else null end;

# A task that had ended is answered 409; one that is cancelled reads as failed with that code. A relay has no such route.
def cancelled:
  { state:
      (if is_success then
         (.body | unwrapped
          | if code_of == "cancelled" or state_of_word[word_of] == "cancelled" then "cancelled" else "unclear" end)
       elif .status == 409 or (.body | code_of) == "task_not_exist" then "finished"
       elif .status == 400 or .status == 404 or .status == 405 then "refused"
       else "unclear"
       end)
  };
