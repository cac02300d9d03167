# SPDX-License-Identifier: Apache-2.0
#
# Luma's Agents API (ray-3.2), the newer of two: POST /generations, GET /generations/{id}. The older one is luma.
#
# Sources: the vendor's documentation (paths, bodies, errors, codes, limits: documented); pages of relays that serve the
# model (five seconds from frames, 360p, the longest prompt: third-party). The vendor's client was not watched.
#
# What it cannot do: cancel (there is no such call), tell progress or costs, choose the job's id; edit, reframe or
# extend a video; guide it by more images than a first and a last one.
#
# Options: body: an object laid over the request, into its `video` too ({video: {loop: true}}; user_id …).

def about:
  { summary: "Luma's Agents API (ray-3.2), text or images to video.",
    evidence: "third-party",
    base_url: "https://agents.lumalabs.ai/v1",
    auth: {kind: "bearer"},
    submit: {total_s: 60},
    poll: {first_s: 20, every_s: 5, longest_s: 30},
    result: {life_s: 3600, renews: true, auth: false},
    models:
      [ {name: "ray-3*", durations: [5, 10], durations_with_images: [5], aspect_ratios: ["9:16", "3:4", "1:1", "4:3", "16:9", "21:9"],
         resolutions: ["360p", "540p", "720p", "1080p"], images: {least: 0, most: 2}} ]
  };

# ---- what is asked ----

def why_not:
  if (reference_images | length) > 0 then "this adapter sends a first and a last frame, no references"
  elif any(.task.images[]; (.url | is_url) or .type != null | not) then
    "the type of an image without a URL must be known, and is not"
  else prompt_why_not(6000) // frames_why_not({last: true, alone: true, references: 0})
  end;

# The address of an image, or its bytes with their type.
def frame($index):
  if $index == null then null
  elif .task.images[$index].url | is_url then {url: image($index; ["url"])}
  else {data: image($index; ["base64"]), media_type: .task.images[$index].type}
  end;

def create_body:
  { model: .task.model,
    type: "video",
    prompt: .task.prompt,
    aspect_ratio: .task.aspect_ratio,
    video:
      { resolution: .task.resolution,
        duration: "\(.task.duration)s",
        start_frame: frame(first_image),
        end_frame: frame(last_image) } }
  | drop_nulls;

def submit: refuse_or(why_not; {method: "POST", path: "/generations", json: with_body(create_body)});

# ---- how it is refused ----

# Two limits share 429 and are told apart by their text: requests a minute, and jobs at once. The answer names when to
# come back; where it does not, a minute's window moves on soon, and a job takes its time.
def limit($message):
  if .status != 429 then null
  elif $message | test("concurrent"; "i") then {code: "too_many_jobs", retry_after_s: 30}
  else {code: "rate_limited", retry_after_s: 10}
  end;

def submitted:
  limit(.body | text_of) as $limit
  | job_or("generation"; texts("body.id")[0];
           refusal($limit.code; .body | text_of; .status | kind_of_status;
                   if .headers["retry-after"] == null then $limit.retry_after_s else null end));

# ---- how it stands ----

def poll: {method: "GET", path: "/generations/\(.job | @uri)"};

def state_of_word: {queued: "pending", processing: "rendering", completed: "done", failed: "failed"};

# The others (generation_failed, output_not_found, rate_limited, budget_exhausted) another attempt may mend.
def kind_of_code:
  { content_moderated: "moderated", image_too_large: "refused", unsupported_format: "refused",
    corrupt_input: "refused", invalid_request: "refused" };

def failure:
  or_else(text_at("failure_code"); "generation_failed") as $code
  | failed($code; or_else(text_at("failure_reason"); "the generation failed without a reason");
           kind_of_code[$code] // "failed");

# The video first: an EXR export may stand beside it.
def outputs:
  [at("output") | arrays | .[] | objects | select(.url | is_url)]
  | map(select(.type == "video")) + map(select(.type != "video"))
  | map({url: .url});

def polled: if_named("id"; polled_by(by_word("state"; state_of_word; {state: "done", outputs: outputs}; failure)));
