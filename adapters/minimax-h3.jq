# SPDX-License-Identifier: Apache-2.0
#
# MiniMax's second video API, of the H3 models: POST /v2/video_generation with a list of content, GET
# /v2/query/video_generation/{id}, DELETE /v2/video_generation/{id}. The Hailuo models have the first one: minimax.
#
# Sources: the vendor's npm client on the wire (create, query, words: wire; no references for H3-Max: sdk); the vendor's
# API pages and OpenAPI file (limits, errors, what DELETE does: documented).
#
# DELETE cancels a task that is queued, and erases one that has ended; so it is sent only for one that was queued when
# it was last seen.
#
# What it cannot do: cancel what renders, tell progress, a seed, a negative prompt, carry an id of ours, references that
# are videos or sounds.
#
# Options: body: an object laid over the request.

def about:
  { summary: "MiniMax's H3 models over its second video API.",
    evidence: "documented",
    base_url: "https://api.minimax.io",
    auth: {kind: "bearer"},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 30, every_s: 10, longest_s: 60},
    result: {life_s: null, renews: true, auth: false},
    cancel: {while: ["pending"]},
    models:
      [ {name: "MiniMax-H3-Max*", durations: {least: 5, most: 15}, resolutions: ["480p", "768p"],
         aspect_ratios: ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"], images: {least: 0, most: 2}},
        {name: "MiniMax-H3*", durations: {least: 4, most: 15}, resolutions: ["768p", "2k"],
         aspect_ratios: ["21:9", "16:9", "4:3", "1:1", "3:4", "9:16"], images: {least: 0, most: 9}}
      ]
  };

# ---- what is asked ----

def references_most: if startswith("MiniMax-H3-Max") then 0 else 9 end;

def why_not:
  prompt_why_not(7000)
  // frames_why_not({last: true, alone: true, references: (.task.model | references_most), apart: true});

def content_role: {first: "first_frame", input: "first_frame", last: "last_frame", reference: "reference_image"};

# First, then last, whatever order they came in; references in theirs.
def order_of_role: {first: 0, input: 0, last: 1, reference: 2};

def content:
  [{type: "text", text: .prompt}]
  + [ .images | to_entries | sort_by(order_of_role[.value.role], .key) | .[]
      | { type: "image_url", image_url: {url: image(.key; ["url", "data_uri"])}, role: content_role[.value.role] } ];

# With frames the video takes its shape from them.
def create_body:
  { model: .model,
    content: content,
    resolution: (if .resolution == null then null else .resolution | ascii_upcase end),
    duration: .duration,
    ratio: (if any(.images[]; .role != "reference") then null else .aspect_ratio end),
    aigc_watermark: .watermark,
    callback_url: .callback }
  | drop_nulls;

def submit:
  refuse_or(why_not;
    {method: "POST", path: "/v2/video_generation", json: with_body(.task | create_body)});

# ---- how it is refused ----

# In brackets at the end of a message; what is not here is judged by the HTTP status.
def kind_of_code:
  { "1002": "busy",
    "1004": "auth",
    "1008": "quota",
    "1026": "moderated", # the prompt or an image
    "1027": "moderated", # the video
    "1039": "busy",
    "1041": "busy",
    "1042": "refused", # too many invisible characters
    "2013": "refused", # parameters
    "2045": "busy",
    "2049": "auth",
    "2056": "quota"    # of this window of hours
  };

def code_of:
  text_at("error.type") as $type
  | text_at("error.message")
  | first((capture("\\((?<code>[0-9]{4,5})\\)\\s*$") | .code), $type);

def submitted:
  (.body | code_of) as $code
  | job_or("task_id"; .body | word_at("task_id");
           refusal($code; .body | text_of;
                   if .status < 500 then kind_of_code[$code] // (.status | kind_of_status) else "unknown" end));

# ---- how it stands ----

def poll: {method: "GET", path: "/v2/query/video_generation/\(.job | @uri)"};

def state_of_word:
  { queued: "pending", running: "rendering", succeeded: "done", failed: "failed", expired: "failed",
    cancelled: "cancelled" };

# Told of a video that is there; of any other end only where the vendor counted something.
def usage_of:
  (at("usage") | if type == "object" then . else {} end) as $counted
  | if $counted == {} and state_of_word[text_at("status")] != "done" then null
    else $counted + {resolution: at("resolution")} | drop_nulls
    end;

def result: {state: "done", outputs: outputs_at("content.url")};

# The code is a text, as "1026".
def failure:
  text_at("status") as $word
  | word_at("error.code") as $code
  | failed(or_else($code; "task_\($word)"); or_else(text_at("error.message"); "the task \($word) without a reason");
           kind_of_code[$code] | if . == "moderated" or . == "refused" then . else "failed" end);

def verdict: with_usage(usage_of; by_word("status"; state_of_word; result; failure));

# After seven days a task is no longer known, and that is 400.
def polled:
  if .status == 400 and (.body | text_of | test("invalid task.?id"; "i")) then {state: "gone"}
  else if_named("task.id"; polled_by(at("task") | verdict))
  end;

# ---- cancel ----

def cancel: if .state == "pending" then {method: "DELETE", path: "/v2/video_generation/\(.job | @uri)"} else null end;

# A record that was deleted was of a task that had ended. 400: it renders, or was cancelled before.
def cancelled:
  text_at("body.action", "body.status") as $deed
  | { state:
        (if is_success and ($deed == "cancelled" or $deed == "cancel") then "cancelled"
         elif is_success and ($deed == "deleted" or $deed == "delete") then "finished"
         elif .status == 404 then "finished"
         elif .status == 400 or .status == 409 then "refused"
         else "unclear"
         end)
    };
