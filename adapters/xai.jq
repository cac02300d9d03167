# SPDX-License-Identifier: Apache-2.0
#
# Grok Imagine video of xAI: POST /videos/generations, GET /videos/{request_id}, which answers 202 while it works.
#
# Sources: the vendor's client in the AI SDK on the wire (paths, auth, bodies, 202 with an empty body: wire) and its
# types (words, moderation, usage: sdk); documentation as gateways print it (lengths, ratios, what goes together:
# third-party); what public gateways saw (a moderated video answered as an error with status 400 and its cost, a bad
# key as 400: third-party).
#
# What it cannot do: cancel (there is no such call); edit or extend videos; keyframes, voices; a seed and a negative
# prompt, which have no place. There is no field for an id of ours, so a lost answer stays unknown. Whether a video was
# moderated is told by a flag, else by text alone: there is no code for it.
#
# Options: body: an object laid over the request (generate_audio, user, storage_options …).

def about:
  { summary: "Grok Imagine video of xAI.",
    evidence: "third-party",
    base_url: "https://api.x.ai/v1",
    auth: {kind: "bearer"},
    submit: {total_s: 60},
    poll: {first_s: 15, every_s: 5, longest_s: 30},
    result: {life_s: null, renews: false, auth: false},
    models:
      (["480p", "720p"] as $lines
       | [ {name: "grok-imagine-video-1.5-lite*", resolutions: $lines},
           {name: "grok-imagine-video-1.5*", resolutions: ($lines + ["1080p"])},
           {name: "grok-imagine-video*", resolutions: $lines} ]
       | map(. + {durations: {least: 1, most: 15}, images: {least: 0, most: 7},
                  aspect_ratios: ["16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3"]}))
  };

# ---- what is asked ----

def references_most: 7;
def references_seconds: 10;

def takes_last: test("^grok-imagine-video-1\\.5") and (test("-lite") | not);

def why_not_images:
  (reference_images | length) as $references
  | frames_why_not({last: (.task.model | takes_last), references: references_most, apart: true}) as $frames
  | if $frames != null then $frames
    elif $references > 0 and .task.duration > references_seconds then
      "a video with references has at most \(references_seconds) seconds"
    elif $references > 0 and .task.resolution == "1080p" then "a video with references has at most 720p"
    else null
    end;

def why_not: prompt_why_not(4096) // why_not_images;

def image_of($index): if $index == null then null else {url: image($index; ["url", "data_uri"])} end;

# With a first frame the video takes its shape from that.
def create_body:
  first_image as $first
  | last_image as $last
  | reference_images as $references
  | .task
  | { model: .model,
      prompt: .prompt,
      duration: .duration,
      aspect_ratio: (if $first == null then .aspect_ratio else null end),
      resolution: .resolution,
      image: image_of($first),
      last_frame: image_of($last),
      reference_images: (if $references == [] then null else $references | map(image_of(.)) end) }
  | drop_nulls;

def submit: refuse_or(why_not; {method: "POST", path: "/videos/generations", json: with_body(create_body)});

# ---- how it is refused ----

# {error: {message, type, param, code}}, or {code, error}, whose code is a sentence or `invalid-argument`.
def code_of: text_at("error.code", "error.type", "code");

def tells_of_moderation: test("moderat|content.?policy|violates.{0,20}(guideline|polic)|safety_check"; "i");
def tells_of_the_key: test("(incorrect|invalid|missing).{0,10}api.?key"; "i");
def tells_of_money: test("credits|spending.?limit|billing"; "i");
def blames_the_input: test("invalid.argument|invalid.request"; "i");

# Of a 400, 403 or 422 the text counts, for a bad key, a bad prompt and an empty purse share their statuses.
def is_of_content: .status == 400 or .status == 403 or .status == 422;

def kind_of_refusal($message):
  if is_of_content and ($message | tells_of_moderation) then "moderated"
  elif .status == 400 and ($message | tells_of_the_key) then "auth"
  elif (.status == 403 or .status == 429) and ($message | tells_of_money) then "quota"
  else .status | kind_of_status
  end;

def submitted:
  (.body | text_of) as $message
  | job_or("request_id"; .body | texts("request_id")[0];
           refusal(.body | code_of; $message; kind_of_refusal($message)));

# ---- how it stands ----

def poll: {method: "GET", path: "/videos/\(.job | @uri)"};

def progress_of: at("progress") | if type == "number" then [[. / 100, 0] | max, 1] | min else null end;

# Told of every end: what was moderated costs, too.
def usage_of:
  { cost_in_usd_ticks: at("usage.cost_in_usd_ticks"), duration: at("video.duration") }
  | drop_nulls;

def failure($word):
  code_of as $code
  | text_of as $message
  | failed(or_else($code; $word);
           or_else($message;
                   if $word == "expired" then "the request expired before it was done"
                   else "the video failed without a reason"
                   end);
           if $message | tells_of_moderation then "moderated"
           elif $code | blames_the_input then "refused"
           else "failed"
           end);

def result:
  if at("video.respect_moderation") == false then
    failed("respect_moderation"; "the video did not pass the vendor's moderation"; "moderated")
  else {state: "done", outputs: outputs_at("video.url")}
  end;

# A video's failure is told without its id, and its error is an object with a code: what tells it in another form is an error
# of somebody before the API.
def is_of_its_form: at("message") == null and (at("error") == null or text_at("error.code") != "");

# An answer without a word is done when it has a video, and under way when its status is 202, whatever its body.
def told($is_accepted):
  text_at("status") as $word
  | if $word == "pending" or ($word == "" and $is_accepted) then
      {state: "rendering", progress: progress_of} | present
    elif $word == "done" or ($word == "" and at("video.url") != null) then result
    elif ($word == "failed" or $word == "expired") and is_of_its_form then failure($word)
    else unknown_word("status"; $word)
    end;

# A query's refusal says nothing of the video, but for one: a video that was moderated answers with what it cost, and
# nothing else costs. (Third-party; the vendor documents none.)
def is_of_the_run: is_of_content and (.body | text_of | tells_of_moderation) and at("body.usage") != null;

def polled:
  if is_not_found then {state: "gone"}
  elif is_success then .status as $status | .body | with_usage(usage_of; told($status == 202))
  elif is_of_the_run then .body | with_usage(usage_of; failure("failed"))
  else unclear_answer(.body | code_of; .body | text_of)
  end;
