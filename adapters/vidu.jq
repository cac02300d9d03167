# SPDX-License-Identifier: Apache-2.0
#
# Vidu's API: POST /text2video, /img2video, /start-end2video or /reference2video by the task's images, GET
# /tasks/{id}/creations, POST /tasks/{id}/cancel.
#
# Sources: the vendor's API pages (paths, states, error codes, cancel, a URL for 24 hours: documented); copies of them and
# adapters in public repositories (what a model takes, that a URL is signed anew: third-party).
#
# What it cannot do: cancel what renders, tell progress, a negative prompt; subjects, reference videos, several key
# frames. `payload` carries our attempt's id and is echoed; it is no key against doubles, so a lost answer stays unknown.
#
# Options: body: an object laid over the request (audio, bgm, off_peak, movement_amplitude, style …).

def about:
  { summary: "Vidu's API: text, frames or references to video.",
    evidence: "third-party",
    base_url: "https://api.vidu.com/ent/v2",
    auth: {kind: "header", name: "Authorization", prefix: "Token "},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 20, every_s: 5, longest_s: 60},
    result: {life_s: 86400, renews: true, auth: false},
    cancel: {while: ["pending"]},
    models:
      ( ["16:9", "9:16", "4:3", "3:4", "1:1"] as $five
      | ["16:9", "9:16", "1:1"] as $three
      | ["540p", "720p", "1080p"] as $usual
      | [ {name: "viduq3-pro-fast*", durations: {least: 1, most: 16}, aspect_ratios: $five, resolutions: $usual,
           images: {least: 1, most: 1}},
          {name: "viduq3-pro*", durations: {least: 1, most: 16}, aspect_ratios: $five, resolutions: $usual,
           images: {least: 0, most: 2}},
          {name: "viduq3-turbo*", durations: {least: 1, most: 16}, aspect_ratios: $five, resolutions: $usual,
           images: {least: 0, most: 7}},
          {name: "viduq3*", durations: {least: 3, most: 16}, aspect_ratios: $five, resolutions: $usual,
           images: {least: 1, most: 7}},
          {name: "viduq2", durations: {least: 1, most: 10}, aspect_ratios: $five, resolutions: $usual,
           images: {least: 0, most: 7}},
          {name: "viduq2*", durations: {least: 1, most: 10}, aspect_ratios: $five, resolutions: $usual,
           images: {least: 1, most: 7}},
          {name: "viduq1*", durations: [5], aspect_ratios: $three, resolutions: ["1080p"], images: {least: 0, most: 7}},
          {name: "vidu2.0*", durations: [4, 8], aspect_ratios: $three, resolutions: ["360p", "720p", "1080p"],
           images: {least: 1, most: 7}}
        ] )
  };

# ---- what is asked ----

def references_most: 7;

def count_of($role): [.images[] | select(.role == $role)] | length;

# Images without a role are frames when there is one of them, and references when there are several.
def has_references: count_of("reference") > 0 or count_of("input") > 1;

def why_not_images:
  (.task | count_of("first") + count_of("last")) as $frames
  | (.task | has_references) as $has_references
  | if $has_references and $frames > 0 then "this API takes frames or references, not both"
    elif $has_references and (.task.images | length) > references_most then
      "this API takes at most \(references_most) references"
    elif $has_references then null
    else frames_why_not({last: true, references: 0})
    end;

def why_not: prompt_why_not(5000) // why_not_images;

def path_of:
  if (.images | length) == 0 then "/text2video"
  elif has_references then "/reference2video"
  elif count_of("last") > 0 then "/start-end2video"
  else "/img2video"
  end;

# First, then last, whatever order they came in; references in theirs.
def images_of:
  if (.images | length) == 0 then null
  else [ .images | to_entries | sort_by(.value.role == "last", .key) | .[] | image(.key; ["url", "data_uri"]) ]
  end;

# With frames the video takes its shape from them.
def create_body:
  path_of as $path
  | { model: .model,
      images: images_of,
      prompt: .prompt,
      duration: .duration,
      seed: .seed,
      resolution: .resolution,
      aspect_ratio: (if $path == "/text2video" or $path == "/reference2video" then .aspect_ratio else null end),
      watermark: .watermark,
      payload: .attempt,
      callback_url: .callback }
  | drop_nulls;

def submit: refuse_or(why_not; {method: "POST", path: (.task | path_of), json: with_body(.task | create_body)});

# ---- how it is refused ----

# Of a refusal its `reason`, of a task its `err_code`. What is not here is judged by the HTTP status.
def kind_of_reason:
  { "AuditSubmitIllegal": "moderated", # what was sent
    "TaskPromptPolicyViolation": "moderated",
    "CreationPolicyViolation": "moderated", # what was made
    "Unauthorized": "auth",
    "Forbidden": "auth",
    "CreditInsufficient": "quota", # told with 400
    "QuotaExceeded": "busy",       # more at once than the account may have
    "TooManyRequests": "busy",
    "SystemThrottling": "busy",
    "OperationInProcess": "unknown", # the same may be under way
    "Conflict": "unknown",
    "Canceled": "unknown",
    "BadRequest": "refused",
    "FieldLacking": "refused",
    "FieldUnwanted": "refused",
    "FieldInvalid": "refused",
    "FieldItemCountOutOfRange": "refused",
    "PageSizeOutOfRange": "refused", # of an image
    "ImageDownloadFailure": "refused",
    "ImageFormatInvalid": "refused",
    "ImageCheckBodyJointsFailed": "refused",
    "ImageCheckFaceFailed": "refused",
    "ImageObjectsUndetected": "refused"
  };

# `code` is the HTTP status again, as a number; as a text it is the reason.
def reason_of: text_at("reason", "code");

def submitted:
  (.body | reason_of) as $reason
  | job_or("task_id"; .body | word_at("task_id");
           refusal($reason; .body | text_of;
                   if .status < 500 then kind_of_reason[$reason] // (.status | kind_of_status) else "unknown" end));

# ---- how it stands ----

def poll: {method: "GET", path: "/tasks/\(.job | @uri)/creations"};

def state_of_word:
  {created: "pending", queueing: "pending", processing: "rendering", success: "done", failed: "failed"};

# Told of every end: 0 of what failed.
def usage_of: if at("credits") == null then null else {credits} end;

def result: {state: "done", outputs: outputs_at("creations.0.url")};

def failure:
  text_at("err_code") as $reason
  | if $reason == "UserCancelled" or $reason == "Canceled" then {state: "cancelled"}
    else
      failed(or_else($reason; "task_failed");
             if $reason == "" then "the task failed without a reason" else "the task failed: \($reason)" end;
             kind_of_reason[$reason] | if . == "moderated" or . == "refused" then . else "failed" end)
    end;

def verdict: with_usage(usage_of; by_word("state"; state_of_word; result; failure));

def polled: if_named("id"; polled_by(reason_of; text_of; verdict));

# ---- cancel: only before it is scheduled ----

def cancel:
  if .state == "pending" then {method: "POST", path: "/tasks/\(.job | @uri)/cancel", json: {id: .job}} else null end;

# {} or null is success; 400 names the state that forbids it.
def cancelled:
  { state:
      (if is_success and .text == "" and (.body | reason_of) == "" then "cancelled"
       elif .status == 404 then "finished"
       elif .status == 400 and (.body | text_of | test("state is (success|failed)")) then "finished"
       elif .status == 400 then "refused"
       else "unclear"
       end)
  };
