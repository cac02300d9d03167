# SPDX-License-Identifier: Apache-2.0
#
# Video models behind OpenRouter: POST /videos (JSON), GET /videos/{id}, GET /videos/{id}/content with the key. The
# upstream's name of a model is OpenRouter's, as google/veo-3.1.
#
# Sources: the vendor's npm SDK on the wire (bodies, paths, content: wire) and its types (words, usage, errors: sdk); its
# pages (frames go before references, what the words and errors mean, callbacks: documented); others who ran it (what a
# 404 says, that content does not redirect, data URIs for images) and a copy of the list of models of October 2026
# (third-party).
#
# What it cannot do: cancel (there is no such call), tell progress, choose the job's id, continue an earlier job, take
# videos or sounds. A negative prompt has no place; some models take one in `provider`.
#
# Options: body: an object laid over the request (generate_audio: true, provider: {options: …}).

def lengths($least; $most): {least: $least, most: $most};

def wide: ["16:9", "9:16"];
def three: ["16:9", "9:16", "1:1"];
def five: ["16:9", "9:16", "1:1", "4:3", "3:4"];
def six: five + ["21:9"];

def makes($name; $durations; $ratios; $resolutions):
  {name: $name, durations: $durations, aspect_ratios: $ratios, resolutions: $resolutions};

def about:
  { summary: "Video models behind OpenRouter.",
    evidence: "third-party",
    base_url: "https://openrouter.ai/api/v1",
    auth: {kind: "bearer"},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 15, every_s: 10, longest_s: 60},
    result: {life_s: null, renews: true, auth: true},
    models:
      [ makes("google/veo-3.1-lite"; [4, 6, 8]; wide; ["720p", "1080p"]),
        makes("google/veo-3.1*"; [4, 6, 8]; wide; ["720p", "1080p", "4K"]),
        makes("bytedance/seedance-1-5-pro"; lengths(4; 12); six + ["9:21"]; ["480p", "720p", "1080p"]),
        makes("bytedance/seedance-2.0"; lengths(4; 15); six + ["9:21"]; ["480p", "720p", "1080p", "4K"]),
        makes("bytedance/seedance-2.0-*"; lengths(4; 15); six + ["9:21"]; ["480p", "720p"]),
        makes("bytedance/seedance-2.5"; lengths(4; 30); six; ["480p", "720p"]),
        makes("kwaivgi/kling-v3.0-*"; lengths(3; 15); three; ["720p"]),
        makes("kwaivgi/kling-video-o1"; [5, 10]; three; ["720p"]),
        makes("minimax/hailuo-3-max"; lengths(5; 15); six; ["480p", "768p"]),
        makes("minimax/hailuo-3"; lengths(5; 15); six; ["2K"]),
        makes("minimax/hailuo-2.3"; [6, 10]; ["16:9"]; ["1080p"]),
        makes("alibaba/wan-3.0*"; lengths(2; 30); five; ["480p", "720p", "1080p"]),
        makes("alibaba/wan-2.7"; lengths(2; 10); five; ["720p", "1080p"]),
        makes("alibaba/wan-2.6"; [5, 10]; wide; ["720p", "1080p"]),
        makes("alibaba/happyhorse-1.*"; lengths(3; 15); six + ["9:21"]; ["720p", "1080p"]),
        makes("x-ai/grok-imagine-video-1.5*"; lengths(1; 15); five + ["3:2", "2:3"]; ["480p", "720p", "1080p"]),
        makes("x-ai/grok-imagine-video"; lengths(1; 15); five + ["3:2", "2:3"]; ["480p", "720p"]),
        makes("runway/gen-4.5"; lengths(2; 10); wide; ["720p"]),
        makes("black-forest-labs/flux-3-video"; lengths(5; 20); six; ["720p", "1080p"]),
        makes("heygen/heygen-video-1"; lengths(5; 15); six; ["480p", "768p", "2K"]) ]
  };

# ---- what is asked ----

# Beside frames, references would be taken and not looked at.
def why_not:
  (first_image != null or last_image != null) as $has_frame
  | if $has_frame and (reference_images | length) > 0 then
      "this API takes frames or references, and would pass over the references"
    else frames_why_not({last: true, alone: true})
    end;

def picture($index): {type: "image_url", image_url: {url: image($index; ["url", "data_uri"])}};

def frame($type; $index): if $index == null then empty else picture($index) + {frame_type: $type} end;

def null_if_empty: if length == 0 then null else . end;

# The words of this API for what it calls by thousands.
def resolution_as: {"1440p": "2K", "2160p": "4K"};

def create_body:
  ([frame("first_frame"; first_image), frame("last_frame"; last_image)] | null_if_empty) as $frames
  | ([picture(reference_images[])] | null_if_empty) as $references
  | .task
  | { model: .model,
      prompt: .prompt,
      duration: .duration,
      resolution: (if .resolution == null then null else resolution_as[.resolution] // .resolution end),
      aspect_ratio: .aspect_ratio,
      seed: .seed,
      frame_images: $frames,
      input_references: $references,
      callback_url: (.callback | https_only) }
  | drop_nulls;

def submit: refuse_or(why_not; {method: "POST", path: "/videos", json: with_body(create_body)});

# ---- how it is refused ----

def tells_of_moderation:
  test("moderat|content.?polic|usage polic|flagged|safety (filter|system|check)|nsfw|sensitive (content|information|word)"; "i");

# 403 is both: a key that may not, and an input that a moderator flagged, which is told in `metadata`.
def is_flagged($message):
  (at("body.error.metadata") | if type == "object" then has("reasons") or has("flagged_input") else false end)
  or (texts("body.error.metadata.error_type") == ["content_policy_violation"])
  or ($message | tells_of_moderation);

def kind_of_refusal:
  if (.status == 400 or .status == 403) and is_flagged(.body | text_of) then "moderated" else .status | kind_of_status end;

def submitted:
  job_or("job"; texts("body.id")[0];
         refusal(text_at("body.error.metadata.error_type"); .body | text_of; kind_of_refusal));

# ---- how it stands ----

def poll: {method: "GET", path: "/videos/\(.job | @uri)"};

def state_of_word:
  { pending: "pending", in_progress: "rendering", completed: "done", failed: "failed", expired: "failed",
    cancelled: "cancelled" };

def usage_of: at("usage") | if type == "object" then {cost, is_byok} | drop_nulls else null end;

def failure:
  text_at("status") as $word
  | text_of as $message
  | failed(if $word == "expired" then "expired" else "upstream_failed" end;
           or_else($message;
                   if $word == "expired" then "the job exceeded the time that it may live"
                   else "the video failed without a reason"
                   end);
           if $message | tells_of_moderation then "moderated" else "failed" end);

# The bytes come through OpenRouter, with the key; an empty list says that there are none.
def result($job):
  { state: "done",
    outputs:
      (if .unsigned_urls == [] then []
       else [{request: {method: "GET", path: "/videos/\($job | @uri)/content", query: {index: 0}, redirects: 3}}]
       end) };

def verdict($job): with_usage(usage_of; by_word("status"; state_of_word; result($job); failure));

# A 404 of this API names the job; one of a path that there is not (a wrong base_url) is a page.
def polled:
  .job as $job
  | if .status == 404 and (at("body.error") | type) == "object" then {state: "gone"}
    elif is_success | not then unclear_answer
    elif (.body | type) != "object" then {state: "unclear", message: "the answer to the query is no job"}
    else if_named("id"; .body | verdict($job))
    end;
