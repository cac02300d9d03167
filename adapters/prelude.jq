# What every adapter may use; docs/ADAPTERS.md describes it. It stands before the adapter's own text in one program.

# The kind of error that an HTTP status most likely means.
def kind_of_status:
  if . == 401 or . == 403 then "auth"
  elif . == 402 then "quota"
  elif . == 429 then "busy"
  elif . == 408 or . == 425 then "unknown"
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

# What `submit` says of a task that this API, or this adapter, cannot serve.
def refuse($message): {error: {code: "not_supported", message: $message, kind: "refused"}};

# The place of image $n in a request, in the first of the forms that can be had.
def image($n; $forms): {"$image": $n, "as": $forms};

# Which of the task's images plays one of these parts: its index, or null. The input is that of submit.
def _images_as($roles): [.task.images | to_entries[] | select(.value.role as $role | $roles | index([$role]) != null) | .key];
def first_image: _images_as(["first", "input"])[0];
def last_image: _images_as(["last"])[0];
def reference_images: _images_as(["reference"]);

# Is the answer a page, of somebody before the API most likely? It tells nothing of the job. Of an input with an answer.
def is_page: .body == null and .text != "";

# What a file's name ends in, by its type: `.png`, or "" where it is not known.
def extension_of:
  {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}[. // ""] // "";

# A message out of the usual shapes of an error, or "". The input is the body.
def text_of:
  def text: if type == "string" then . else empty end;
  if type != "object" then ""
  else first((.error | if type == "object" then .message | text else text end), (.message | text), (.detail | text), "") end;

# What an adapter without these can do: not cancel.
def cancel: null;
def cancelled: {state: "refused"};
