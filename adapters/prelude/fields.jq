
# ---- where each model has an input of its own: what it calls its fields is the channel's to say, in `options.fields` ----

# Under our names. `options.duration` says how a length is written.
def fields_said:
  def duration_as($form):
    if $form == "none" then null
    elif $form == "text" then tostring
    elif $form == "seconds" then "\(.)s"
    else .
    end;
  def image_of($index): image($index; ["url", "data_uri"]);
  (.task.options.duration // "number") as $form
  | first_image as $first
  | last_image as $last
  | reference_images as $references
  | .task
  | { prompt: .prompt, negative_prompt: .negative_prompt, aspect_ratio: .aspect_ratio, resolution: .resolution,
      duration: (.duration | duration_as($form)), seed: .seed, width: .width, height: .height,
      enhance_prompt: .enhance_prompt, image: image_of($first), last_image: image_of($last),
      reference_images: (if ($references | length) == 0 then null else $references | map(image_of(.)) end) }
  | drop_nulls;

# $fields: what most models call theirs. An image that the model has no field for must not be left out in silence.
def fields_why_not($what; $fields):
  ($fields + (.task.options.fields // {})) as $fields
  | fields_said as $said
  | [("image", "last_image", "reference_images") as $name | select($said[$name] != null and $fields[$name] == null) | $name]
    as $missing
  | if $missing != [] then "options.fields does not say what this \($what) calls \($missing[0])"
    elif (first_images | length) > 1 then
      "there is one field for a first image: further ones need the role last or reference"
    elif (last_images | length) > 1 then "there is one field for a last image"
    else null
    end;

def fields_input($fields):
  ($fields + (.task.options.fields // {})) as $fields
  | with_body([fields_said | to_entries[] | select($fields[.key] != null) | {key: $fields[.key], value: .value}] | from_entries);

# Names between slashes, none of which leads elsewhere.
def fields_is_path: test("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$") and (test("(^|/)\\.\\.?(/|$)") | not);
