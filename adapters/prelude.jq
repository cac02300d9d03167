# What every adapter may use; docs/ADAPTERS.md describes it. It stands before the adapter's own text in one program.

# The kind of error that an HTTP status most likely means.
def kind_of_status:
  if . == 401 or . == 403 then "auth"
  elif . == 402 then "quota"
  elif . == 429 then "busy"
  elif . == 408 or . == 409 or . == 425 or . == 499 then "unknown"
  elif . >= 400 and . < 500 then "refused"
  else "unknown" end;

# Objects without their null members, all the way down.
def drop_nulls:
  if type == "object" then with_entries(select(.value != null) | .value |= drop_nulls)
  elif type == "array" then map(drop_nulls)
  else . end;

# What stands at a path like `error.code`, whatever the answer is made of; null where there is no such place.
def at($path):
  reduce ($path | split(".")[]) as $name
    (.; if type == "object" then .[$name] elif type == "array" then .[($name | tonumber?) // length] else null end);

# The texts that stand at these paths, in order.
def texts(paths): [paths as $path | at($path) | strings | select(. != "")];

# The first of them, or "".
def text_at(paths): texts(paths)[0] // "";

# What stands in for null and "".
def or_else($value; $default): if $value == null or $value == "" then $default else $value end;

# An object without its null members; their values stay as they are.
def present: with_entries(select(.value != null));

# An object with the members alone that are numbers or texts.
def numbers_and_texts: with_entries(select(.value | type == "number" or type == "string"));

# What `submit` says of a task that this API, or this adapter, cannot serve.
def refuse($message): {error: {code: "not_supported", message: $message, kind: "refused"}};

# What `submit` gives: a refusal where there is a reason for one, else the request.
def refuse_or(why_not; request): why_not as $why_not | if $why_not != null then refuse($why_not) else request end;

# A request's JSON with what the channel's `options.body` lays over it, group by group. The input is that of submit.
def with_body(body): body * (.task.options.body // {});

# Why this prompt cannot go along, or null.
def prompt_why_not($most):
  if (.task.prompt | length) > $most then "a prompt of this API has at most \($most) characters" else null end;

# The place of image $n in a request, in the first of the forms that can be had; null where there is no such image.
def image($n; $forms): if $n == null then null else {"$image": $n, "as": $forms} end;

# Which of the task's images play one of these parts: their indexes; of one, its index or null. The input is that of submit.
def _images_as($roles): [.task.images | to_entries[] | select(.value.role as $role | $roles | index([$role]) != null) | .key];
def first_images: _images_as(["first", "input"]);
def first_image: first_images[0];
def last_images: _images_as(["last"]);
def last_image: last_images[0];
def reference_images: _images_as(["reference"]);

# Why these images cannot go along, or null. $takes: {last, alone, references, apart}; what it does not say is not limited.
def frames_why_not($takes):
  (first_images | length) as $firsts
  | (last_images | length) as $lasts
  | (reference_images | length) as $references
  | ([if $takes.last == false then empty else "last" end, if $takes.references == 0 then empty else "reference" end]
     | join(" or ")) as $roles
  | if $firsts > 1 and $roles == "" then "there is one first frame"
    elif $firsts > 1 then "one image is the first frame: a further one needs the role \($roles)"
    elif $lasts > 1 then "there is one last frame"
    elif $lasts > 0 and $takes.last == false then "this model takes no last frame"
    elif $lasts > 0 and $firsts == 0 and $takes.alone != true then "a last frame needs a first frame"
    elif $references > 0 and $takes.references == 0 then "this model takes no references"
    elif $references > ($takes.references // $references) then "this model takes at most \($takes.references) references"
    elif $references > 0 and $firsts + $lasts > 0 and $takes.apart == true then
      "this model takes frames or references, not both"
    else null
    end;

# Is the answer a page, of somebody before the API most likely? It tells nothing of the job. Of an input with an answer.
def is_page: .body == null and .text != "";

# A message out of the usual shapes of an error, or "". The input is the body. A `detail` may be a list of what is wrong
# with which field.
def text_of:
  def complaint: [(.loc | arrays | map(tostring) | join(".")), .msg] | map(strings | select(. != "")) | join(": ");
  def text: if type == "string" then . else empty end;
  def detail: if type == "array" then map(objects | complaint) | join("; ") | select(. != "") else text end;
  if type != "object" then ""
  else first((.error | if type == "object" then .message | text else text end), (.message | text), (.detail | detail), "") end;

# Of an input with an answer: 2xx?
def is_success: .status >= 200 and .status < 300;

# Is this the URL of a file?
def is_url: type == "string" and test("^https?://"; "i");

# This text, if it is an address of https; else null.
def https_only: if type == "string" and test("^https://"; "i") then . else null end;

# An id or a code at a path, which may be a number, as a text; "" where there is none.
def word_at($path): at($path) | if type == "string" or type == "number" then tostring else "" end;

# A success without an id: the job may have been taken.
def no_job($what):
  {error: {code: "no_job_id", message: "the answer to the submit names no \($what)", kind: "unknown"}};

# What `submitted` gives for a refusal; a code and a message that are "" are told by the status. Of an input with an answer.
def refusal($code; $message; $kind; $retry_after_s):
  { code: or_else($code; "http_\(.status)"),
    message: or_else($message; "the submit was answered with HTTP \(.status)"),
    kind: $kind,
    retry_after_s: $retry_after_s }
  | {error: present};
def refusal($code; $message; $kind): refusal($code; $message; $kind; null);

# What `submitted` gives where a status says whether it was taken: the job, whose id may be "" or null, or the refusal.
def job_or($what; $job; refusal):
  if is_success | not then refusal elif $job == null or $job == "" then no_job($what) else {job: $job} end;

# A poll whose answer, or whose word for a state, tells nothing of the job.
def unclear_answer($code; $message):
  { state: "unclear",
    message: (["the query was answered with HTTP \(.status)" + (if $code == "" then "" else ", code \($code)" end),
               ($message | strings | select(. != ""))] | join(": ")) };
def unclear_answer: unclear_answer(""; .body | text_of);
def unknown_word($name; $word): {state: "unclear", message: "the \($name) \($word | tojson) is not known"};

# Does the API say that there is no such job? Of an input with an answer.
def is_not_found: .status == 404 and (is_page | not);

# What `polled` gives where a status says whether the job was found: the verdict on the body, or why there is none.
def polled_by(code; message; verdict):
  if is_not_found then {state: "gone"}
  elif is_success | not then unclear_answer(.body | code; .body | message)
  else .body | verdict
  end;
def polled_by(verdict): polled_by(""; text_of; verdict);

# What `polled` gives for the word at a path: what it means by the table, with what is to be said of `done` and `failed`.
# The input is the body.
def by_word($path; $states; done; failed):
  word_at($path) as $word
  | $states[$word] as $state
  | if $state == null then unknown_word($path | split(".")[-1:][0]; $word)
    elif $state == "done" then done
    elif $state == "failed" then failed
    else {state: $state}
    end;

# A verdict on the body, and where it is an end, what was used. An end without a count (null, or {}) is told without.
def with_usage(usage; verdict):
  . as $body
  | verdict
  | if .state == "done" or .state == "failed" or .state == "cancelled" then
      ($body | usage) as $usage | if $usage == null or $usage == {} then . else . + {usage: $usage} end
    else .
    end;

# A verdict; but of a failure that does not name the job at one of these paths of the body, `unclear`: that may be the error
# of somebody before the API, in words of its own, and the job goes on. Of an input with a job and an answer.
def if_named(paths; verdict):
  .job as $job
  | any(.body | word_at(paths); . == $job) as $is_named
  | verdict
  | if .state == "failed" and ($is_named | not) then
      {state: "unclear", message: "a failure that does not name the job: \(.error.message)"}
    else .
    end;

def failed($code; $message; $kind): {state: "failed", error: {code: $code, message: $message, kind: $kind}};

# The URLs at these paths, as outputs of a job that is done.
def outputs_at(paths): texts(paths) | map(select(is_url) | {url: .});

# What a file's name ends in, by its type: `.png`, or "" where it is not known.
def extension_of:
  {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}[. // ""] // "";

# What an adapter without these can do: not cancel.
def cancel: null;
def cancelled: {state: "refused"};
