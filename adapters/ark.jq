# SPDX-License-Identifier: Apache-2.0
#
# Seedance at Volcengine Ark (China) and BytePlus ModelArk: POST /contents/generations/tasks, GET and DELETE the same
# path with the task's id. A model is the vendor's id (doubao-seedance-…, dreamina-seedance-…) or an endpoint, ep-….
#
# Sources: the npm client of another vendor on the wire (paths, auth, body, words: wire); the vendor's list of error
# codes (documented); adapters of public gateways and readings of the vendor's pages (roles of images, what each model
# makes, what DELETE does, how long things live: third-party).
#
# What it cannot do: tell progress; send videos or sounds as references, extend or edit; a negative prompt, which has
# no place. No field is documented as a key against doubles, so a lost answer stays unknown. DELETE cancels what is
# queued, refuses what runs and erases the record of what is over, so it is asked for only while the last poll said
# queued.
#
# Options: body: an object laid over the request (generate_audio, camera_fixed, service_tier, return_last_frame,
# execution_expires_after, safety_identifier …).

def model($name; $durations; $resolutions; $images):
  { name: $name, durations: $durations, resolutions: $resolutions, images: $images,
    aspect_ratios: ["16:9", "4:3", "1:1", "3:4", "9:16", "21:9"] };

def about:
  { summary: "Seedance at Volcengine Ark or BytePlus ModelArk.",
    evidence: "third-party",
    base_url: "https://ark.ap-southeast.bytepluses.com/api/v3",
    auth: {kind: "bearer"},
    callback: true,
    submit: {total_s: 60},
    poll: {first_s: 20, every_s: 5, longest_s: 60},
    result: {life_s: 86400, renews: false, auth: false},
    cancel: {while: ["pending"]},
    models:
      [ model("*seedance-2-5*"; {least: 4, most: 30}; ["480p", "720p"]; {least: 0, most: 30}),
        model("*seedance-2-0-fast*"; {least: 4, most: 15}; ["480p", "720p"]; {least: 0, most: 9}),
        model("*seedance-2-0-mini*"; {least: 4, most: 15}; ["480p", "720p"]; {least: 0, most: 9}),
        model("*seedance-2-*"; {least: 4, most: 15}; ["480p", "720p", "1080p", "4k"]; {least: 0, most: 9}),
        model("*seedance-1-5-*"; {least: 4, most: 12}; ["480p", "720p", "1080p"]; {least: 0, most: 2}),
        model("*seedance-1-0-lite-t2v*"; {least: 2, most: 12}; ["480p", "720p", "1080p"]; {least: 0, most: 0}),
        model("*seedance-1-0-lite-i2v*"; {least: 2, most: 12}; ["480p", "720p", "1080p"]; {least: 1, most: 4}),
        model("*seedance-1-0-pro-fast*"; {least: 2, most: 12}; ["480p", "720p", "1080p"]; {least: 0, most: 1}),
        model("*seedance-1-0-*"; {least: 2, most: 12}; ["480p", "720p", "1080p"]; {least: 0, most: 2}) ]
  };

# ---- what is asked ----

def references_most:
  if test("seedance-(1-5|1-0-(pro|lite-t2v))") then 0 elif test("seedance-1-0-lite-i2v") then 4 else null end;

def takes_last: test("seedance-1-0-(pro-fast|lite-t2v)") | not;
def takes_first: test("seedance-1-0-lite-t2v") | not;

def why_not:
  if first_image != null and (.task.model | takes_first | not) then "this model takes no images"
  else
    (.task.model | {last: takes_last, references: references_most, apart: true}) as $takes
    | frames_why_not($takes)
  end;

def item($index; $role):
  if $index == null then empty
  else {type: "image_url", image_url: {url: image($index; ["url", "data_uri"])}, role: $role}
  end;

def content:
  [ (.task.prompt | strings | select(. != "") | {type: "text", text: .}),
    item(first_image; "first_frame"), item(last_image; "last_frame"), item(reference_images[]; "reference_image") ];

# The vendor's word for 2160 lines.
def lines: if . == "2160p" then "4k" else . end;

# With a first frame the video takes its shape from that.
def create_body:
  content as $content
  | first_image as $first
  | .task
  | { model: .model,
      content: $content,
      resolution: (.resolution | lines),
      ratio: (if $first == null then .aspect_ratio else "adaptive" end),
      duration: .duration,
      seed: .seed,
      watermark: .watermark,
      callback_url: .callback }
  | drop_nulls;

def submit:
  refuse_or(why_not;
    {method: "POST", path: "/contents/generations/tasks", json: with_body(create_body)});

# ---- how it is refused ----

# The codes that mean something else than their HTTP status.
def kind_of_code:
  { AccountOverdueError: "quota", "OperationDenied.ServiceOverdue": "quota",
    SetLimitExceeded: "quota",            # the account's own limit: somebody has to raise it
    "OperationDenied.ServiceNotOpen": "refused",
    ContentSecurityDetectionError: "busy" # the check itself failed
  };

def tells_of_moderation: test("SensitiveContentDetected|RiskDetection|PolicyViolation");

def code_of: text_at("error.code", "code");

def kind_of_refusal($code):
  if .status < 400 or .status > 499 then "unknown"
  elif $code | tells_of_moderation then "moderated"
  else kind_of_code[$code] // (.status | kind_of_status)
  end;

def submitted:
  (.body | code_of) as $code
  | job_or("task"; .body | text_at("id"); refusal($code; .body | text_of; kind_of_refusal($code)));

# ---- how it stands ----

def task_path: "/contents/generations/tasks/\(.job | @uri)";

def poll: {method: "GET", path: task_path};

def state_of_word:
  { queued: "pending", running: "rendering", succeeded: "done", failed: "failed", expired: "failed",
    cancelled: "cancelled" };

# Told of a video that is there; of any other end only where the vendor counted something.
def usage_of:
  (at("usage") | if type == "object" then numbers_and_texts else {} end) as $counted
  | if $counted == {} and state_of_word[text_at("status")] != "done" then null
    else $counted + ({duration, resolution, service_tier} | numbers_and_texts)
    end;

# The input is at fault where the code says so; else another attempt may do.
def failure:
  code_of as $code
  | text_at("status") as $word
  | failed(or_else($code; $word);
           or_else(text_at("error.message");
                   if $word == "expired" then "the task was not done within the vendor's time"
                   else "the task failed without a reason"
                   end);
           if $code | tells_of_moderation then "moderated"
           elif $code | test("^(Invalid|Missing)Parameter") then "refused"
           else "failed"
           end);

def result: {state: "done", outputs: outputs_at("content.video_url")};

def verdict: with_usage(usage_of; by_word("status"; state_of_word; result; failure));

def polled: if_named("id"; polled_by(code_of; text_of; verdict));

# ---- cancel: of what is queued alone; the same call would erase what is over. Then it is looked at ----

def cancel:
  if .step > 0 then {method: "GET", path: task_path}
  elif .state == "pending" then {method: "DELETE", path: task_path}
  else null
  end;

# 2xx is also how an end is erased; 404: there is nothing left. Any other refusal: it runs.
def delete_answered:
  if is_success and (is_page | not) then {next: true, keep: .keep}
  elif .status == 404 then {state: "finished"}
  elif .status == 400 or .status == 409 or .status == 422 then {state: "refused"}
  else {state: "unclear"}
  end;

# What was cancelled can be seen for a day; what cannot was over, and its record is erased.
def cancel_looked:
  polled
  | if .state == "cancelled" then {state, usage} | drop_nulls
    elif .state == "done" or .state == "failed" or .state == "gone" then {state: "finished"}
    elif .state == "rendering" then {state: "refused"}
    else {state: "unclear"}
    end;

def cancelled: if .step == 0 then delete_answered else cancel_looked end;
