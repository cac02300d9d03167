# SPDX-License-Identifier: Apache-2.0
#
# Luma's Dream Machine API, the older of two: POST /generations/video, GET /generations/{id}. The newer one is
# luma-agents.
#
# Sources: the vendor's npm client on the wire (paths, key: wire) and its types (fields, status words: sdk); its
# documentation (what is refused before and what fails after a submit, callbacks, refunds: documented).
#
# What it cannot do: take an image that has no URL of its own (the vendor fetches it; there is no upload and no data
# URI), tell progress or costs, choose the job's id. It does not cancel: DELETE removes a generation, and nothing says
# that this stops a running one, so it would only be out of sight, and paid.
#
# Options: body: an object laid over the request (loop, concepts …).

def about:
  { summary: "Luma's Dream Machine API (ray-2), text or images to video.",
    evidence: "documented",
    base_url: "https://api.lumalabs.ai/dream-machine/v1",
    auth: {kind: "bearer"},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 20, every_s: 5, longest_s: 60},
    result: {life_s: null, renews: false, auth: false},
    models:
      [ {name: "ray-*", durations: [5, 9], aspect_ratios: ["1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21"],
         resolutions: ["540p", "720p", "1080p", "4k"], images: {least: 0, most: 2}} ]
  };

# ---- what is asked ----

def prompt_least: 3;

def why_not:
  if (.task.prompt | length) < prompt_least then "a prompt of this API has at least \(prompt_least) characters"
  elif any(.task.images[]; .url | is_url | not) then
    "this API fetches images itself: each needs a public http(s) URL, a file or a data URI cannot be sent"
  else prompt_why_not(5000) // frames_why_not({last: true, alone: true, references: 0})
  end;

def keyframe($index): if $index == null then null else {type: "image", url: image($index; ["url"])} end;

def keyframes:
  if (.task.images | length) == 0 then null
  else {frame0: keyframe(first_image), frame1: keyframe(last_image)}
  end;

def create_body:
  keyframes as $keyframes
  | .task
  | { model: .model,
      prompt: .prompt,
      aspect_ratio: .aspect_ratio,
      resolution: .resolution,
      duration: "\(.duration)s",
      keyframes: $keyframes,
      callback_url: .callback }
  | drop_nulls;

def submit: refuse_or(why_not; {method: "POST", path: "/generations/video", json: with_body(create_body)});

def submitted: job_or("generation"; texts("body.id")[0]; refusal(""; .body | text_of; .status | kind_of_status));

# ---- how it stands ----

def poll: {method: "GET", path: "/generations/\(.job | @uri)"};

def state_of_word: {queued: "pending", dreaming: "rendering", completed: "done", failed: "failed"};

# There are no codes; these are the texts that the vendor lists.
def kind_of_reason:
  if test("moderation|blacklisted"; "i") then "moderated"
  elif test("failed to read user input frames"; "i") then "refused"
  else "failed"
  end;

def failure:
  or_else(text_at("failure_reason"); "the generation failed without a reason") as $reason
  | failed("generation_failed"; $reason; $reason | kind_of_reason);

def result: {state: "done", outputs: outputs_at("assets.video")};

def polled: if_named("id"; polled_by(by_word("state"; state_of_word; result; failure)));
