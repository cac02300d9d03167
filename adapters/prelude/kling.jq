
# ---- Kling's, of both its APIs ----

# The envelope's `code`; 0 is success. What is not here is judged by the HTTP status.
def kling_kind_of_code:
  { "1000": "auth", "1001": "auth", "1002": "auth", "1003": "auth", "1004": "auth",
    "1100": "quota", "1101": "quota", "1102": "quota",
    "1103": "auth",                       # no right to what is asked
    "1200": "refused", "1201": "refused", # parameters
    "1202": "refused", "1203": "refused", # no such method, no such model
    "1300": "moderated", "1301": "moderated",
    "1302": "busy",
    "1303": "busy",                       # more tasks at once than the resource package allows
    "1304": "auth",                       # this address is not on the account's list
    "5000": "unknown", "5001": "unknown", "5002": "unknown"
  };

# The vendor asks for a second at least; a slot is free when a video of minutes is done.
def kling_retry_of_code: {"1302": 2, "1303": 5};

def kling_code: word_at("code");

def kling_is_ok: is_success and (.body | kling_code) == "0";

# A task with our id is there already: a submit before this one was taken.
def kling_is_taken($code; $message): $code == "1201" and ($message | test("already.{0,8}exist"; "i"));

def kling_refusal:
  (.body | kling_code) as $code
  | (.body | text_of) as $message
  | refusal($code; $message;
            if kling_is_taken($code; $message) then "unknown"
            else kling_kind_of_code[$code] // (.status | kind_of_status)
            end;
            kling_retry_of_code[$code]);

def kling_tells_of_moderation:
  test("risk control|sensitive|content.?(security )?polic|violat|moderat|违规|敏感|审核|风控"; "i");

# A failed task is told by a text alone.
def kling_failed($message):
  failed("task_failed"; or_else($message; "the task failed without a reason");
         if $message | kling_tells_of_moderation then "moderated" else "failed" end);
