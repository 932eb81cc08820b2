// Every story of tests/vectors, one test each.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stories, tell } from "./stories.mjs";

const all = stories();

test("the stories are there", () => assert.ok(all.length >= 40, `${all.length} stories`));

for (const story of all) {
  test(`${story.topic}: ${story.name}`, async () => assert.deepEqual(await tell(story), []));
}
