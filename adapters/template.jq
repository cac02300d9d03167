# An adapter: how filmgate speaks to one upstream API. It is nothing but function definitions in jq 1.6; each takes one
# JSON value and gives exactly one. No function sees a credential, a clock or the network: filmgate sends what `submit`
# and `poll` ask for, adds the credential, and hands the answers to `submitted` and `polled`.
# The contract is docs/ADAPTERS.md. Try it: filmgate adapters test NAME.jq
#
# The API of this template: POST /v1/jobs takes a job, GET /v1/jobs/ID tells its state, DELETE /v1/jobs/ID cancels it.

# Runs once, at the start. Input: null.
def about: {
  summary: "A generic API of jobs: the template of an adapter.",
  evidence: "documented",                       # of the weakest fact below: wire, sdk, documented or third-party
  base_url: null,                               # null: the channel must set it
  auth: {kind: "bearer"},                       # or {kind: "header", name: "X-Api-Key", prefix: "Key "}, query, none, …
  submit: {total_s: 60},
  poll: {first_s: 10, every_s: 5, longest_s: 60},
  result: {life_s: 3600, renews: true, auth: false},
  cancel: {while: ["pending", "rendering"]},
  models: [{
    name: "*",                                  # the first that matches counts
    durations: {least: 4, most: 12},
    images: {least: 0, most: 1}
  }]
};

# Task to request. Input: {task, step, keep}.
def submit: first_image as $image | .task | {
  method: "POST",
  path: "/v1/jobs",
  json: ({
    model: .model,
    prompt: .prompt,
    negative_prompt: .negative_prompt,
    seconds: .duration,
    size: "\(.width)x\(.height)",
    seed: .seed,
    # The first form that can be had is put in: the image's own URL, or its bytes.
    image: (if $image == null then null else image($image; ["url", "data_uri"]) end)
  } | drop_nulls)
};

# The answer to it: accepted or not? Every status comes here. Input: {task, step, keep, status, headers, body, text}.
def submitted:
  if .status < 300 and (.body.id? | type) == "string" then {job: .body.id}
  elif .status < 300 then {error: {code: "no_job", message: "the answer names no job", kind: "unknown"}}
  else {error: {code: "http_\(.status)", message: (.body | text_of), kind: (.status | kind_of_status)}} end;

# Job to request. Input: {task, job, step, keep}.
def poll: {method: "GET", path: "/v1/jobs/\(.job | @uri)", heed: ["404"]};

# The answer to it. Trouble (408, 425, 429, 5xx) never comes here. Input as for `submitted`, with `job`.
def polled:
  if is_not_found then {state: "gone"}
  elif .status >= 400 then {state: "unclear", message: (.body | text_of)}
  else if_named("id"; .body |
    if .state == "queued" then {state: "pending"}
    elif .state == "running" then {state: "rendering", progress: ((.percent // 0) / 100)}
    elif .state == "done" then {state: "done", outputs: [{url: .video_url}]}
    elif .state == "failed" then
      {state: "failed", error: {code: (.error.code // "failed"), message: text_of,
                                kind: (if .error.code == "content_policy" then "moderated" else "failed" end)}}
    elif .state == "cancelled" then {state: "cancelled"}
    else {state: "unclear", message: "an unknown state: \(.state)"} end)
  end;

# Leave out `cancel` and `cancelled` where the upstream cannot cancel. Input: {task, job, keep, state}.
def cancel: {method: "DELETE", path: "/v1/jobs/\(.job | @uri)"};

# Input as for `polled`.
def cancelled:
  if is_page then {state: "unclear"}
  elif .status < 300 then {state: "cancelled"}
  elif .status == 409 then {state: "finished"}
  else {state: "unclear"} end;
