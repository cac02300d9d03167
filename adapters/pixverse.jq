# SPDX-License-Identifier: Apache-2.0
#
# PixVerse's platform API: POST /openapi/v2/video/{text,img,transition}/generate, GET /openapi/v2/video/result/{id}.
# Images are uploaded first, each in an exchange of its own. An error is an `ErrCode` other than 0, mostly with HTTP
# status 200; a job's status is a number.
#
# Sources: the vendor's guides and OpenAPI file (paths, headers, fields, models, error codes, statuses 1, 5, 7 and 8, that a
# moderated job is refunded: documented); adapters of public gateways (status 6, codes 10001 and 10003: third-party).
#
# Ai-trace-id: the vendor wants a UUID that is new with every request, and answers a repeated one with what it answered
# before (third-party). The submit carries the attempt's UUID, so that support finds it; uploads and polls draw fresh ones, or
# a poll would be told for ever what the first one was told. A lost submit is not sent again by it: that a repeated id
# starts no second job is not documented.
#
# What it cannot do: cancel (there is no such endpoint), references (`fusion` needs names of the images in the prompt),
# extend, restyle and the like, tell progress. A style is not sent: the vendor has five words for it.
# Webhooks are set up in the vendor's console, not in a request.
#
# Options: body: an object laid over the request that makes the video (generate_audio_switch, motion_mode, style,
# camera_movement, template_id …).

def about:
  def model($name; $durations; $ratios):
    {name: $name, durations: $durations, aspect_ratios: $ratios, resolutions: ["360p", "540p", "720p", "1080p"],
     images: {least: 0, most: 2}};
  ["16:9", "9:16", "1:1", "4:3", "3:4"] as $usual
  | ($usual + ["3:2", "2:3", "21:9"]) as $all
  | { summary: "PixVerse's platform API, text or images to video.",
      evidence: "third-party",
      base_url: "https://app-api.pixverse.ai",
      auth: {kind: "header", name: "API-KEY"},
      submit: {total_s: 60},
      poll: {first_s: 15, every_s: 5, longest_s: 60},
      result: {life_s: null, renews: false, auth: false},
      models:
        [ model("v6*"; {least: 1, most: 15}; $all),
          model("c1*"; {least: 1, most: 15}; $all),
          model("v5.5*"; [5, 8, 10]; $usual),
          model("v5.6*"; [5, 8, 10]; $usual),
          model("v*"; [5, 8]; $usual) ]
    };

# ---- what is asked ----

# A transition's is shorter than the others' (documented).
def prompt_most: if last_image != null then 2048 else 5000 end;
def negative_most: 2048;

# Longer ones are not made in 1080p (documented).
def is_too_long_for_1080p:
  .resolution == "1080p"
  and (((.model | test("^v5\\.[56]")) and .duration > 8) or ((.model | startswith("v3.5")) and .duration > 5));

def why_not:
  if (.task.prompt | length) > prompt_most then "a prompt has at most \(prompt_most) characters here"
  elif (.task.negative_prompt // "" | length) > negative_most then
    "a negative prompt has at most \(negative_most) characters here"
  elif (reference_images | length) > 0 then "this adapter sends a first and a last frame, no references"
  elif .task | is_too_long_for_1080p then "\(.task.model) makes no \(.task.duration) seconds in 1080p"
  else frames_why_not({last: true, references: 0})
  end;

# The images in the order of their uploads.
def frames: [first_image, last_image] | map(select(. != null));

def upload($index):
  { method: "POST", path: "/openapi/v2/image/upload", buys: false, headers: {"Ai-trace-id": {"$uuid": true}},
    form: [{name: "image", value: image($index; ["file"])}] };

def path_of($count): "/openapi/v2/video/\(["text", "img", "transition"][$count])/generate";

# With an image the video takes its shape from that.
def create_body($ids):
  { model: .model,
    prompt: .prompt,
    negative_prompt: .negative_prompt,
    duration: .duration,
    quality: (.resolution // "720p"),
    aspect_ratio: (if $ids == [] then .aspect_ratio else null end),
    img_id: (if ($ids | length) == 1 then $ids[0] else null end),
    first_frame_img: (if ($ids | length) == 2 then $ids[0] else null end),
    last_frame_img: $ids[1],
    seed: .seed,
    water_mark: .watermark }
  | drop_nulls;

def submit:
  frames as $frames
  | (.keep.images // []) as $ids
  | refuse_or(why_not;
      if .step < ($frames | length) then upload($frames[.step])
      else
        { method: "POST", path: path_of($frames | length), headers: {"Ai-trace-id": .task.attempt_uuid},
          json: with_body(.task | create_body($ids)) }
      end);

# ---- how it is refused ----

# The envelope's `ErrCode`. What is not here is judged by the HTTP status; with 200, nobody knows.
def kind_of_code:
  { "10001": "auth", "10003": "auth",
    "400011": "refused", "400013": "refused", "400017": "refused", # parameters
    "400012": "auth",                        # the account
    "400018": "refused", "400019": "refused", # too long a prompt
    "400032": "refused",                     # an image's id
    "500008": "refused",                     # no such data
    "500020": "auth",                        # no right to what is asked
    "500030": "refused", "500031": "refused", "500032": "refused", "500033": "refused", # the image
    "500041": "unknown",                     # the upload failed
    "500042": "refused",
    "500044": "busy",                        # as many at once as the plan allows
    "500054": "moderated", "500063": "moderated",
    "500060": "refused", "500064": "refused", "500070": "refused", "500071": "refused", # effects, templates
    "500069": "busy",                        # high load
    "500090": "quota",
    "99999": "unknown", "500100": "unknown"
  };

def retry_of_code: {"500044": 10, "500069": 10};

def code_of: word_at("ErrCode");

def is_ok: is_success and (.body | code_of) == "0";

def id_at($path): at($path) | if type == "number" or (type == "string" and . != "") then . else null end;

def pixverse_refusal($what):
  (.body | code_of) as $code
  | refusal(if $code == "0" then "" else $code end;
            or_else(.body | text_at("ErrMsg", "message"); "\($what) was answered with HTTP \(.status)");
            kind_of_code[$code] // (.status | kind_of_status);
            retry_of_code[$code]);

def uploaded:
  id_at("body.Resp.img_id") as $id
  | if is_ok | not then pixverse_refusal("an upload")
    elif $id == null then
      {error: {code: "no_img_id", message: "the answer to an upload names no img_id", kind: "unknown"}}
    else {next: true, keep: {images: ((.keep.images // []) + [$id])}}
    end;

def taken:
  word_at("body.Resp.video_id") as $job
  | if is_ok | not then pixverse_refusal("the submit")
    elif $job == "" then no_job("video_id")
    else {job: $job}
    end;

def submitted: if .step < (frames | length) then uploaded else taken end;

# ---- how it stands ----

def poll:
  {method: "GET", path: "/openapi/v2/video/result/\(.job | @uri)", headers: {"Ai-trace-id": {"$uuid": true}}};

# 7: moderated.
def state_of_status: {"1": "done", "5": "rendering", "6": "cancelled", "7": "failed", "8": "failed"};

def usage_of: {credits, outputWidth, outputHeight} | with_entries(select(.value | type == "number"));

def result: with_usage(usage_of; {state: "done", outputs: outputs_at("url")});

def failure:
  word_at("status") as $status
  | if $status == "7" then
      failed("status_7"; "the content moderation did not let the video pass"; "moderated")
    else failed("status_\($status)"; "the generation failed without a reason"; "failed")
    end;

def verdict: by_word("status"; state_of_status; result; failure);

# 500008: no such data; 500064: it was deleted.
def is_gone: is_not_found or (.body | code_of | . == "500008" or . == "500064");

def polled:
  if is_gone then {state: "gone"}
  elif is_ok | not then unclear_answer(.body | code_of; .body | text_at("ErrMsg"))
  else .body.Resp | verdict
  end;
