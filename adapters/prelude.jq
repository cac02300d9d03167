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

# The place of image $n in a request, in the first of the forms that can be had.
def image($n; $forms): {"$image": $n, "as": $forms};

# Which of the task's images plays one of these parts: its index, or null. The input is that of submit.
def _images_as($roles): [.task.images | to_entries[] | select(.value.role as $role | $roles | index([$role]) != null) | .key];
def first_image: _images_as(["first", "input"])[0];
def last_image: _images_as(["last"])[0];
def reference_images: _images_as(["reference"]);

# A message out of the usual shapes of an error, or "". The input is the body.
def text_of:
  def text: if type == "string" then . else empty end;
  if type != "object" then ""
  else first((.error | if type == "object" then .message | text else text end), (.message | text), (.detail | text), "") end;

# What an adapter without these can do: not cancel.
def cancel: null;
def cancelled: {state: "refused"};
