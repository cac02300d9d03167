# SPDX-License-Identifier: Apache-2.0
#
# Gemini Omni over the Interactions API: POST /interactions, GET /interactions/{id}, POST /interactions/{id}/cancel.
#
# Sources: the vendor's npm SDK on the wire (paths, key header, request, cancel: wire) and its types (status words:
# sdk); documentation (samples are synchronous, inline data: documented); research notes (what a file's URI does:
# third-party).
#
# Not established: whether video honours `background: true`, and how long the file of a URI lives (48 hours are said).
# A later GET was reported to answer base64 where the first answer had a URI, so the first URI is kept. What a URI
# names may still be processed when it is told; the download is tried again.
#
# What it cannot do: progress, a last frame, a negative prompt, edits and extensions of earlier videos.
#
# Options: background: false (the POST waits for the video and answers with it); delivery: uri | inline (default uri);
# body: an object laid over the request. For the /v1 of newer SDKs set `base_url`.

def about:
  { summary: "Gemini Omni video models over the Interactions API.",
    evidence: "third-party",
    base_url: "https://generativelanguage.googleapis.com/v1beta",
    auth: {kind: "header", name: "x-goog-api-key"},
    submit: {total_s: 600}, # without `background` the answer is the finished video
    poll: {first_s: 20, every_s: 10, longest_s: 60},
    result: {life_s: 172800, renews: true, auth: true},
    cancel: {while: ["pending", "rendering"]},
    models:
      [ {name: "gemini-omni-*", aspect_ratios: ["16:9", "9:16"], resolutions: ["360p", "720p", "1080p", "4k"]} ]
  };

# ---- what is asked ----

def frames: [.images[] | select(.role == "first" or .role == "input")] | length;

def references: [.images[] | select(.role == "reference")] | length;

# One frame to begin with, or images to draw from.
def video_task:
  if (.images | length) == 0 then "text_to_video"
  elif frames == 1 and references == 0 then "image_to_video"
  else "reference_to_video"
  end;

def image_item: {type: "image", data: image(.key; ["base64"]), mime_type: (.value | google_type_of)};

def items:
  if (.images | length) == 0 then .prompt
  else [{type: "text", text: .prompt}] + [.images | to_entries[] | image_item]
  end;

def create_body:
  { model: .model,
    input: items,
    background: (.options.background != false),
    store: true,
    response_format:
      { type: "video", aspect_ratio: .aspect_ratio, resolution: .resolution, duration: "\(.duration)s",
        delivery: (.options.delivery // "uri") },
    generation_config: {video_config: {task: video_task}, seed: .seed}
  };

def submit:
  if last_image != null then refuse("this API has no last frame")
  elif any(.task.images[]; .role == "first") and (.task | references > 0) then
    refuse("this API takes a first frame or references, not both")
  else
    {method: "POST", path: "/interactions", json: with_body(.task | create_body | drop_nulls)}
  end;

# ---- how it stands ----

def state_of_word:
  { queued: "pending",
    in_progress: "rendering",
    completed: "done",
    failed: "failed",
    incomplete: "failed",
    budget_exceeded: "failed",
    requires_action: "refused", # it wants what nobody here can give
    requires_continuation: "refused",
    cancelled: "cancelled"
  };

def videos: [google_list_at("steps")[] | select(.type == "model_output") | google_list_at("content")[] | select(.type == "video")];

def uri_of: [videos[].uri | select(is_url)] | .[0];

# Only what is as long as a video is cut out of an answer.
def blob_of: [videos[].data | select(type == "object" and has("$blob"))] | .[0];

def outputs_of($uri):
  if $uri != null then [{url: $uri}]
  elif blob_of != null then [{blob: blob_of}]
  else []
  end;

def failure($word; $state):
  (google_list_at("errors")[0] // (at("error") | objects) // {}) as $error
  | ($error.message // "the interaction ended as \($word)" | tostring) as $message
  | at("usage") as $usage
  | failed($error.code // $word | tostring; $message;
           if $message | google_tells_of_moderation then "moderated" else $state end)
    + {usage: $usage};

# `$kept`: the URI of an earlier answer.
def verdict($kept):
  text_at("status") as $word
  | state_of_word[$word] as $state
  | ($kept // uri_of) as $uri
  | if $state == "pending" or $state == "rendering" then {state: $state}
    elif $state == "done" then
      {state: "done", outputs: outputs_of($uri), usage: at("usage"), keep: {uri: $uri}}
    elif $state == "failed" or $state == "refused" then failure($word; $state)
    elif $state == "cancelled" then {state: "cancelled", usage: at("usage")}
    else unknown_word("status"; $word)
    end
  | drop_nulls
  | if .keep == {} then del(.keep) else . end;

# An end that came with the answer goes along as the first poll's.
def accepted($job):
  uri_of as $uri
  | verdict(null) as $verdict
  | { job: $job,
      keep: (if $uri == null then null else {uri: $uri} end),
      polled: (if ["done", "failed", "cancelled"] | index([$verdict.state]) then $verdict else null end) }
  | present;

def submitted:
  texts("body.id")[0] as $job
  | if is_success | not then google_refusal
    elif $job == null then no_job("interaction")
    else .body | accepted($job)
    end;

# ids are ours to escape; `stream=false` is what the SDK asks.
def poll: {method: "GET", path: "/interactions/\(.job | @uri)", query: {stream: "false"}};

def polled: at("keep.uri") as $kept | if_named("id"; polled_by(verdict($kept)));

# ---- cancel ----

def cancel: {method: "POST", path: "/interactions/\(.job | @uri)/cancel"};

def cancelled:
  { state:
      (if is_success then
         text_at("body.status") as $word
         | if $word == "cancelled" then "cancelled"
           elif state_of_word[$word] == "done" or state_of_word[$word] == "failed" then "finished"
           else "unclear"
           end
       elif .status == 404 then "finished"
       elif .status == 400 or .status == 409 then "refused"
       else "unclear"
       end)
  };
