# SPDX-License-Identifier: Apache-2.0
#
# Servers that speak the OpenAI Videos API: POST /videos (multipart), GET /videos/{id}, GET /videos/{id}/content. Its
# first speaker shut the API down on 2026-09-24; relays, proxies and self-hosted servers still speak it, so a channel
# must say where (`base_url`, with its /v1).
#
# Sources: the vendor's OpenAPI file and its npm SDK on the wire (multipart create, content with bearer and redirect:
# wire); what relays drift to, of words and of places for a URL (third-party).
#
# What it cannot do: cancel (DELETE is documented for finished jobs only, and erases them), remix, edits, extensions,
# characters; more than one image; a last frame.
#
# Options: image: file | url (how an image goes; url for servers that refuse files), image_field (the part's name for
# a URL, default input_reference[image_url]; some relays want input_reference); send: [seed, negative_prompt, …]
# further fields of the task to send; content: true (fetch by /content even where the answer names a URL); form: an
# object of further parts.

def about:
  { summary: "Servers that speak the OpenAI Videos API.",
    evidence: "third-party",
    base_url: null,
    auth: {kind: "bearer"},
    submit: {total_s: 120},
    poll: {first_s: 15, every_s: 5, longest_s: 60},
    result: {life_s: 3600, renews: true, auth: true}, # a relay's URL may be its own; to others no credential goes
    models:
      [ {name: "sora-2-pro*", durations: [4, 8, 12], images: {least: 0, most: 1},
         sizes: ["720x1280", "1280x720", "1024x1792", "1792x1024", "1080x1920", "1920x1080"]},
        {name: "sora-2*", durations: [4, 8, 12], images: {least: 0, most: 1},
         sizes: ["720x1280", "1280x720", "1024x1792", "1792x1024"]},
        {name: "*", images: {least: 0, most: 1}}
      ]
  };

# ---- what is asked ----

def image_part:
  if (.images | length) == 0 then []
  elif .options.image == "url" then
    [{name: (.options.image_field // "input_reference[image_url]"), value: image(0; ["url", "data_uri"])}]
  else
    [{name: "input_reference", value: image(0; ["file"]),
      filename: ("input_reference" + (.images[0].type | extension_of))}]
  end;

def further_parts:
  . as $task
  | [(.options.send // [])[] | select($task[.] != null) | {name: ., value: $task[.]}]
    + ((.options.form // {}) | to_entries | map({name: .key, value: .value}));

def create_parts:
  [ {name: "model", value: .model},
    {name: "prompt", value: .prompt},
    {name: "seconds", value: (.duration | tostring)},
    {name: "size", value: "\(.width)x\(.height)"} ]
  + image_part + further_parts;

def submit:
  if (.task.images | length) > 1 then refuse("this API takes one image")
  elif last_image != null then refuse("this API has no last frame: its one image is a reference for the first")
  else {method: "POST", path: "/videos", form: (.task | create_parts)}
  end;

# ---- how it is refused ----

def code_of: text_at("error.code", "code", "error.type");

def kind_of_code:
  { invalid_api_key: "auth",
    insufficient_quota: "quota",
    billing_hard_limit_reached: "quota",
    insufficient_user_quota: "quota",
    rate_limit_exceeded: "busy",
    moderation_blocked: "moderated",
    sentinel_block: "moderated",
    content_policy_violation: "moderated",
    model_not_found: "refused"
  };

def tells_of_moderation: test("moderat|content.?policy|sentinel_block|safety system|usage polic"; "i");

def kind_of_answer($code; $message):
  if kind_of_code[$code] then kind_of_code[$code]
  elif .status == 400 and ($message | tells_of_moderation) then "moderated"
  else .status | kind_of_status
  end;

def job_of: [word_at("id", "task_id") | select(. != "")] | .[0];

def submitted:
  (.body | code_of) as $code
  | (.body | text_of) as $message
  | job_or("video"; .body | job_of; refusal($code; $message; kind_of_answer($code; $message)));

# ---- how it stands ----

def poll: {method: "GET", path: "/videos/\(.job | @uri)"};

def state_of_word:
  { queued: "pending", pending: "pending", submitted: "pending", created: "pending", not_start: "pending",
    in_progress: "rendering", processing: "rendering", running: "rendering", generating: "rendering",
    completed: "done", succeeded: "done", success: "done",
    failed: "failed", failure: "failed", error: "failed", expired: "failed",
    cancelled: "cancelled", canceled: "cancelled"
  };

def progress_of:
  if type == "number" then . / 100
  elif type == "string" then rtrimstr("%") | tonumber? // null | if . == null then null else . / 100 end
  else null
  end
  | if . == null then null else [[., 0] | max, 1] | min end;

def url_of:
  texts("url", "video_url", "metadata.url", "unsigned_urls.0") | map(select(is_url)) | .[0];

def output($job; $options):
  url_of as $url
  | if $url == null or $options.content == true then
      {request: {method: "GET", path: "/videos/\($job | @uri)/content", redirects: 5}}
    else {url: $url}
    end;

def failure:
  code_of as $code
  | text_of as $message
  | failed(or_else($code; "upstream_failed"); or_else($message; "the video failed without a reason");
           if kind_of_code[$code] == "moderated" or ($message | tells_of_moderation) then "moderated" else "failed" end);

def verdict:
  .job as $job
  | (.task.options // {}) as $options
  | if is_not_found or .status == 410 then {state: "gone"}
    elif is_success | not then unclear_answer
    else
      .body
      | (text_at("status") | ascii_downcase) as $word
      | state_of_word[$word] as $state
      | if $state == "pending" or $state == "rendering" then
          {state: $state, progress: (at("progress") | progress_of)} | drop_nulls
        elif $state == "done" then {state: "done", outputs: [output($job; $options)]}
        elif $state == "failed" then failure
        elif $state == "cancelled" then {state: "cancelled"}
        else unknown_word("status"; $word)
        end
    end;

# A relay wraps an error of its own in 200 and one of these words, too.
def polled: if_named("id", "task_id", "data.id", "data.task_id"; verdict);
