
# ---- Google's: Veo over the Gemini API and on Vertex AI, Omni ----

# Bytes whose type is not known yet are judged by the end of their URL. Of an image of the task.
def google_type_of:
  .type //
    ( (.url // "" | sub("[?#].*$"; "") | ascii_downcase) as $path
      | if $path | test("\\.jpe?g$") then "image/jpeg"
        elif $path | test("\\.png$") then "image/png"
        elif $path | test("\\.webp$") then "image/webp"
        else null
        end );

def google_kind_of_code:
  { "INVALID_ARGUMENT": "refused",
    "FAILED_PRECONDITION": "refused",
    "OUT_OF_RANGE": "refused",
    "NOT_FOUND": "refused", # no such model, or a retired one
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "auth",
    "API_KEY_INVALID": "auth", # told with status 400; on Vertex AI in express mode
    "RESOURCE_EXHAUSTED": "busy",
    "ABORTED": "busy",
    "UNAVAILABLE": "unknown",
    "DEADLINE_EXCEEDED": "unknown",
    "INTERNAL": "unknown"
  };

def google_list_at($path): at($path) | if type == "array" then map(objects) else [] end;

def google_code_of:
  if any(google_list_at("error.details")[]; .reason == "API_KEY_INVALID") then "API_KEY_INVALID"
  else text_at("error.status", "error.code")
  end;

# "34s" or "34.07s"
def google_retry_after_s:
  [google_list_at("error.details")[].retryDelay | strings | rtrimstr("s") | tonumber? // empty] | .[0];

def google_tells_of_moderation:
  test("safety|prohibited|content.?policy|usage (polic|guideline)|violat|moderat|responsible ai|sensitive"; "i");

def google_refusal:
  (.body | google_code_of) as $code
  | (.body | text_of) as $message
  | refusal($code; $message;
            if .status == 400 and $code != "API_KEY_INVALID" and ($message | google_tells_of_moderation) then "moderated"
            else google_kind_of_code[$code] // (.status | kind_of_status)
            end;
            .body | google_retry_after_s);

# ---- Veo's ----

def veo_why_not($references_most):
  if .task.model | test("^[A-Za-z0-9._-]+$") | not then "a model's name of this API has no other signs than - . and _"
  else frames_why_not({last: true, references: $references_most, apart: true})
  end;

def veo_image($index):
  if $index == null then null
  else .task.images[$index] | {bytesBase64Encoded: image($index; ["base64"]), mimeType: google_type_of}
  end;

def veo_references:
  [reference_images[] as $index | {image: veo_image($index), referenceType: "asset"}] | if . == [] then null else . end;

# Of Veo 2 there is but one resolution, which is not named. $further: what one of the two APIs takes more.
def veo_create($further):
  ( { instances:
        [ { prompt: .task.prompt,
            image: veo_image(first_image),
            lastFrame: veo_image(last_image),
            referenceImages: veo_references } ],
      parameters:
        { durationSeconds: .task.duration,
          aspectRatio: .task.aspect_ratio,
          resolution: (.task | if .model | test("^veo-2") then null else .resolution end),
          negativePrompt: .task.negative_prompt,
          personGeneration: .task.options.person_generation } }
    * $further
    | drop_nulls ) as $body
  | { method: "POST", path: "/models/\(.task.model):predictLongRunning", json: with_body($body) };

# The name of an operation is a path, as models/{model}/operations/{id}; null where it is none.
def veo_name:
  texts("name")[0]
  | if . == null or any(split("/")[]; . == "" or . == "." or . == "..") then null else . end;

# What google.rpc.Code says of a task that will never do; the others may pass.
def veo_refused_codes: [3, 5, 9, 11, 12];

def veo_failure:
  (.error.code? // "unknown") as $code
  | or_else(text_of; "the operation failed without a reason") as $message
  | failed($code | tostring; $message;
           if $message | google_tells_of_moderation then "moderated"
           elif veo_refused_codes | index([$code]) != null then "refused"
           else "failed"
           end);

def veo_filtered:
  ([at("raiMediaFilteredReasons") | arrays | .[] | strings] | join("; ")) as $reasons
  | failed("rai_filtered"; or_else($reasons; "the video was filtered for reasons of policy"); "moderated");

# The input is what an operation has in `response`. That something was filtered away is told by a number, or by reasons.
def veo_result($outputs):
  (at("raiMediaFilteredCount") | numbers // 0) as $filtered
  | if $outputs == [] and ($filtered > 0 or at("raiMediaFilteredReasons.0") != null) then veo_filtered
    else {state: "done", outputs: $outputs}
    end;

def veo_verdict(result):
  at("done") as $done
  | if $done == true and at("error") != null then veo_failure
    elif $done == true then result
    elif ($done == false or $done == null) and veo_name != null then {state: "rendering"}
    else {state: "unclear", message: "the answer is no operation: done is \($done | tojson)"}
    end;
