# SPDX-License-Identifier: Apache-2.0
#
# Veo over the Gemini API, and relays that copy it: POST /models/{model}:predictLongRunning, GET /{name of the operation}.
#
# Sources: the vendor's npm SDK on the wire (paths, key header, request, answer, download: wire) and its types (filtered
# results, inline videos: sdk); documentation (errors, models and what they take: documented); public gateways (files
# are kept for two days, polls every 10 to 15 seconds: third-party).
#
# The vendor itself retired the veo-3.1 previews here on 2026-10-22: what it says of them is a 404, which is `refused`.
# Vertex AI goes on (adapter vertex-veo), and relays.
#
# Not established: which of the error codes of an operation a refusal by policy has; it is known by its text. What
# is filtered away (`raiMediaFilteredCount`) is told by a number.
#
# What it cannot do: cancel (there is no such endpoint), progress, a wait apart from the work, a seed, images by URL.
#
# Options: person_generation: allow_all | allow_adult | dont_allow; body: an object laid over the request, group by
# group ({parameters: {sampleCount: 1}}).

def about:
  { summary: "Veo video models over the Gemini API, and relays of that shape.",
    evidence: "third-party",
    base_url: "https://generativelanguage.googleapis.com/v1beta",
    auth: {kind: "header", name: "x-goog-api-key"},
    callback: true,
    submit: {total_s: 120}, # images go along as base64
    poll: {first_s: 20, every_s: 10, longest_s: 60},
    result: {life_s: 172800, renews: false, auth: true},
    models:
      [ {name: "veo-3.1*", durations: [4, 6, 8], aspect_ratios: ["16:9", "9:16"],
         resolutions: ["720p", "1080p", "4k"], images: {least: 0, most: 3}},
        {name: "veo-3*", durations: [4, 6, 8], aspect_ratios: ["16:9", "9:16"],
         resolutions: ["720p", "1080p"], images: {least: 0, most: 1}},
        {name: "veo-2*", durations: {least: 5, most: 8}, aspect_ratios: ["16:9", "9:16"],
         resolutions: ["720p"], images: {least: 0, most: 1}} ]
  };

# ---- what is asked ----

def references_most: if test("^veo-(2|3\\.0|3\\.1-lite)") then 0 else 3 end;

def webhook: if (.task.callback | type) == "string" then {uris: [.task.callback]} else null end;

def submit: refuse_or(veo_why_not(.task.model | references_most); veo_create({webhookConfig: webhook}));

def submitted: job_or("operation"; .body | veo_name; google_refusal);

# ---- how it stands ----

def poll: {method: "GET", path: ("/" + (.job | split("/") | map(@uri) | join("/")))};

def video_of($sample): $sample | at("video") | objects;

# By URL, by the name of a file (some relays), or inline.
def output_of($video):
  ($video.uri | strings) as $uri
  | if $uri | is_url then {url: $uri}
    elif $uri | test("^files/[A-Za-z0-9_-]+$") then
      {request: {method: "GET", path: "/\($uri):download", query: {alt: "media"}, redirects: 5}}
    else empty
    end;

def outputs:
  [.[] | video_of(.) | output_of(.), (.encodedVideo | select(type == "object" and has("$blob")) | {blob: .})];

def result: (at("response.generateVideoResponse") // {}) | veo_result(google_list_at("generatedSamples") | outputs);

def polled: polled_by(veo_verdict(result));
