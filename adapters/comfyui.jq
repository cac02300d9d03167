# SPDX-License-Identifier: Apache-2.0
#
# A ComfyUI server: POST /prompt takes a graph of nodes, GET /history/{id} and GET /queue tell what became of it. The
# graph is the channel's (`options.workflow`); what a task says is written into it at the places that `options.inputs`
# names.
#
# Sources: the server's own source, server.py and openapi.yaml (sdk); a third-party npm client on the wire (upload,
# history, view: wire). Which key of a node's outputs holds a video is told by the file's name, since nodes differ.
#
# The job's id is ours: a lost answer is cleared up by asking for it. Older servers choose their own, and tell it.
#
# What it cannot do: progress (it is told by WebSocket only), more than three images. An older server takes /interrupt
# for whatever runs there, so the queue is looked at first; `options.interrupt: false` keeps a running job running.
#
# Options: workflow (the graph in API format; it may also stand among the options as it was exported, so options_file
# can be that file); inputs: {prompt: /6/inputs/text, seed: [/3/inputs/seed, …], …} with the names below; fps: 24 (for
# `frames`, which is duration * fps + 1); output: a node's number, where several save a video; subfolder: filmgate (of
# uploads); interrupt.

def about:
  { summary: "A ComfyUI server and one workflow.",
    evidence: "sdk",
    base_url: "http://127.0.0.1:8188",
    auth: {kind: "none"},
    job: {chosen: true, certain: true},
    submit: {total_s: 60},
    poll: {first_s: 5, every_s: 2, longest_s: 15},
    result: {life_s: null, renews: true, auth: false},
    cancel: {while: ["pending", "rendering"]},
    models: [ {name: "*", images: {least: 0, most: 3}} ]
  };

# ---- what is asked: an upload for each image, then the graph ----

def refuse_as($code; $message): {error: {code: $code, message: $message, kind: "refused"}};

def upload_most: 3; # a submit has four steps

# `workflow`, or what was exported, just as it is: then the nodes stand among the options.
def workflow:
  .task.options
  | .workflow // with_entries(select(.value | type == "object" and has("class_type")))
  | if type == "object" and length > 0 then . else null end;

def places: .task.options.inputs // {};

def images_mapped: [places | keys[] | select(test("^image[0-9]+$")) | ltrimstr("image") | tonumber] | sort;

# The same task in another attempt is another film; 48 bits of the attempt's id are as good as dice.
def seed_of_attempt:
  (gsub("-"; "") | .[-12:] | explode) as $digits
  | reduce $digits[] as $digit (0; . * 16 + (if $digit > 96 then $digit - 87 else $digit - 48 end));

# What a task can say, under the names of `options.inputs`. Null leaves the workflow's own value.
def said($uploaded):
  .task
  | { prompt: .prompt, negative_prompt: .negative_prompt, width: .width, height: .height, duration: .duration,
      fps: (.options.fps // 24), frames: (.duration * (.options.fps // 24) + 1),
      seed: (.seed // (.attempt_uuid | seed_of_attempt)), aspect_ratio: .aspect_ratio, resolution: .resolution,
      style: .style, title: .title, attempt: .attempt }
    + ([$uploaded | to_entries[] | {key: "image\(.key)", value: .value}] | from_entries);

# /6/inputs/text, as RFC 6901 has it
def path_of: ltrimstr("/") | split("/") | map(gsub("~1"; "/") | gsub("~0"; "~"));

def pointers: if type == "array" then .[] else . end;

# The node must be in the graph, with `inputs`; the name within may be new.
def has_place($path): ($path | length) > 1 and (try getpath($path[0:-1]) catch null | type) == "object";

def misplaced:
  workflow as $workflow
  | [ places | to_entries[]
      | .key as $name | .value | pointers as $pointer
      | select(($pointer | type) != "string" or ($workflow | has_place($pointer | path_of) | not))
      | "options.inputs.\($name) is \($pointer | tojson), which is no place in the workflow" ]
  | .[0];

def unknown_names:
  (said([]) | keys) as $names
  | [places | keys[] | select(test("^image[0-9]+$") or IN($names[]) | not)];

# The refusal, where no request can be made of this task and this channel; null when one can.
def refused:
  images_mapped as $mapped
  | (.task.images | length) as $n
  | if workflow == null then
      refuse_as("no_workflow"; "options.workflow, or options_file, must hold a graph in ComfyUI's API format")
    elif misplaced != null then refuse_as("bad_inputs"; misplaced)
    elif (unknown_names | length) > 0 then
      refuse_as("bad_inputs"; "options.inputs names \(unknown_names[0] | tojson), which is nothing that a task says")
    elif ($mapped | length) > upload_most or $mapped != [range($mapped | length)] then
      refuse_as("bad_inputs"; "the images of options.inputs must be image0, image1, image2, without a gap")
    elif $n != ($mapped | length) then
      refuse("this workflow takes \($mapped | length) images, and the task has \($n)")
    else null
    end;

# The attempt's id in the name: nobody overwrites another's image.
def upload($index):
  { method: "POST", path: "/upload/image", buys: false,
    form:
      [ {name: "image", value: image($index; ["file"]),
         filename: "\(.task.attempt)-\($index)\(.task.images[$index].type | extension_of)"},
        {name: "overwrite", value: "true"},
        {name: "type", value: "input"},
        {name: "subfolder", value: (.task.options.subfolder // "filmgate")} ] };

def graph($said):
  reduce (places | to_entries[]) as $entry
    (workflow;
     if $said[$entry.key] == null then .
     else reduce ($entry.value | pointers | path_of) as $path (.; setpath($path; $said[$entry.key]))
     end);

def prompt:
  said(.keep.images // []) as $said
  | { method: "POST", path: "/prompt",
      json: {prompt: graph($said), prompt_id: .task.attempt_uuid, client_id: "filmgate"} };

def submit:
  refused as $refused
  | if $refused != null then $refused
    elif .step < (.task.images | length) then upload(.step)
    else prompt
    end;

# ---- how it is refused ----

# Where the graph is wrong: the first node that has errors, and what is wrong with it.
def node_error:
  [at("node_errors") | objects | to_entries[] | .key as $node | .value | at("errors") | arrays | .[]
   | "node \($node): \(texts("message", "details") | join(": "))"]
  | .[0];

def complaints: [(texts("error.message", "error.details") | join(": ")), texts("error")[0], node_error];

def message_of($default):
  .body | complaints | map(strings | select(. != "")) | if length == 0 then $default else join("; ") end;

def comfyui_refusal($what; $kind):
  { error:
      { code: (texts("body.error.type")[0] // "http_\(.status)"),
        message: message_of("\($what) was answered with HTTP \(.status)"),
        kind: $kind } };

# An upload buys nothing: what went wrong with it may be tried again.
def uploaded:
  texts("body.name")[0] as $name
  | if is_success | not then
      comfyui_refusal("an upload"; .status | kind_of_status | if . == "unknown" then "busy" else . end)
    elif $name == null then comfyui_refusal("an upload, without the name of a file,"; "refused")
    else {next: true, keep: {images: ((.keep.images // []) + [texts("body.subfolder", "body.name") | join("/")])}}
    end;

def accepted:
  texts("body.prompt_id")[0] as $job
  | if is_success | not then comfyui_refusal("the prompt"; .status | kind_of_status)
    elif $job == null then no_job("prompt_id")
    else {job: $job}
    end;

def submitted: if .step < (.task.images | length) then uploaded else accepted end;

# ---- how it stands: step 0 looks at what is done, step 1 at what waits and runs ----

def poll: if .step == 0 then {method: "GET", path: "/history/\(.job | @uri)"} else {method: "GET", path: "/queue"} end;

def message($event): [at("status.messages") | arrays | .[] | arrays | select(.[0] == $event) | .[1]] | .[0];

# Previews (`temp`) and the inputs are no results.
def videos($node):
  [ at("outputs") | objects | to_entries[]
    | select($node == null or .key == ($node | tostring))
    | .value | objects | (.videos, .gifs, .images) | arrays | .[] | objects
    | select(.type == "output" and ((.filename | strings) // "" | test("\\.(mp4|webm|mov|mkv)$"; "i"))) ];

def view: {request: {method: "GET", path: "/view", query: {filename, subfolder: (.subfolder // ""), type}}};

def node_name: "node \(at("node_id") // "?") (\(texts("node_type")[0] // "unknown"))";

def failure:
  message("execution_error") as $error
  | {state: "failed",
     error:
       { code: ($error | texts("exception_type")[0] // "execution_error"),
         message: ($error | "\(node_name): \(texts("exception_message")[0] // "no reason was given")"),
         kind: "failed" }};

def record($options):
  (texts("status.status_str")[0] // "") as $word
  | if message("execution_interrupted") != null then {state: "cancelled"}
    elif message("execution_error") != null or $word == "error" then failure
    elif $word == "success" then {state: "done", outputs: (videos($options.output) | map(view))}
    else unknown_word("status"; $word)
    end;

def history_polled:
  .job as $job
  | .task.options as $options
  | (.body | at($job)) as $record
  | if is_success | not then {state: "unclear", message: "the history was answered with HTTP \(.status)"}
    elif ($record | type) == "object" then $record | record($options)
    elif .body == {} then {next: true, keep: .keep}
    else {state: "unclear", message: "the history's answer is of another kind"}
    end;

# [number, prompt_id, graph, …]: the lowest number is next.
def waiting: [at("queue_pending")[]? | arrays] | sort_by(.[0]) | map(.[1]);

def running: [at("queue_running")[]? | arrays | .[1]];

def queue_polled:
  .job as $job
  | if (at("body.queue_pending") | type) != "array" or (at("body.queue_running") | type) != "array" then
      {state: "unclear", message: "the queue's answer is of another kind"}
    else
      (.body | waiting | index([$job])) as $position
      | if $position != null then {state: "pending", queue_position: ($position + 1)}
        elif .body | running | index([$job]) != null then {state: "rendering"}
        else {state: "gone"}
        end
    end;

def polled: if .step == 0 then history_polled else queue_polled end;

# ---- cancel: step 0 looks where it is, then it is taken out or interrupted, then two looks say what came of it ----

# An older server interrupts whatever runs there. So each try looks first, and interrupts only if it is our job that runs:
# by the next try the next job may.
def cancel:
  at("keep.cancel") as $step
  | if $step == "delete" then {method: "POST", path: "/queue", json: {delete: [.job]}}
    elif $step == "interrupt" then {method: "POST", path: "/interrupt", json: {prompt_id: .job}}
    elif $step == "history" then {method: "GET", path: "/history/\(.job | @uri)"}
    elif .state == "rendering" and .task.options.interrupt == false then null
    else {method: "GET", path: "/queue"}
    end;

def on($step): {next: true, keep: {cancel: $step}};

# What waited may run by now. After a call that was taken, only looks are left.
def cancel_looked($is_first):
  (.task.options.interrupt != false) as $interrupts
  | queue_polled
  | if .state == "gone" then on("history")
    elif $is_first and .state == "pending" then on("delete")
    elif $is_first and .state == "rendering" then if $interrupts then on("interrupt") else {state: "refused"} end
    else {state: "unclear"}
    end;

# Both calls are answered 200 with nothing in it, whatever they found. What has left the queue stands in the history,
# unless it was taken out before it ran.
def cancelled:
  at("keep.cancel") as $step
  | if is_page then {state: "unclear"}
    elif $step == "delete" or $step == "interrupt" then if is_success then on("look") else {state: "refused"} end
    elif $step != "history" then cancel_looked($step == null)
    else
      history_polled
      | if .next == true or .state == "cancelled" then {state: "cancelled"}
        elif .state == "done" or .state == "failed" then {state: "finished"}
        else {state: "unclear"}
        end
    end;
