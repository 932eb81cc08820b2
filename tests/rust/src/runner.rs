//! Tells a story to a guard, through the doors that every language uses, and compares its answers.

use crate::folder::Folder;
use crate::story::{Story, mismatch};
use serde_json::{Map, Value, json};
use spendrail::clock::ManualClock;
use spendrail::ffi::{self, Failure};
use spendrail::guard::{Guard, Hold, Run};
use spendrail::requests::Api;
use spendrail::values::Timestamp;
use spendrail::{Code, Error};
use std::collections::{HashMap, HashSet};

type Answer = Result<Value, Failure>;

/// Every way in which the engine disagrees with the story. A panic is one.
#[must_use]
pub fn run(story: &Story) -> Vec<String> {
    std::panic::catch_unwind(|| tell(story)).unwrap_or_else(|why| {
        let said =
            why.downcast_ref::<String>().cloned().or(why.downcast_ref::<&str>().map(ToString::to_string));
        vec![format!("panicked: {}", said.unwrap_or_default())]
    })
}

fn tell(story: &Story) -> Vec<String> {
    let mut runner = match Runner::start(story) {
        Err(why) => {
            let expected = if story.expect.is_null() { ok() } else { story.expect.clone() };
            return mismatch(&expected, &shown(Err(why)), "start").into_iter().collect();
        }
        Ok(_) if !story.expect.is_null() => {
            return vec![format!("start: expected {}, but the guard was built", story.expect)];
        }
        Ok(runner) => runner,
    };
    let compare = |(at, step): (usize, &Value)| {
        let answer = shown(runner.step(step, &with(step)));
        let failed = answer.get("error").or(answer.get("denied")).is_some();
        let expected = match step.get("expect") {
            Some(expected) => expected.clone(),
            None if failed => ok(),
            None => return None,
        };
        let what = step["do"].as_str().unwrap_or_default();
        mismatch(&expected, &answer, "").map(|why| format!("step {at} ({what}): {why}"))
    };
    story.steps.iter().enumerate().filter_map(compare).collect()
}

fn ok() -> Value {
    json!({ "ok": true })
}

/// An answer as stories write it: flags sorted, anomalies by their rules, an answer of nothing is `ok`.
fn shown(answer: Answer) -> Value {
    match answer {
        Ok(Value::Null) => ok(),
        Ok(mut answer) => {
            if let Some(Value::Array(flags)) = answer.get_mut("flags") {
                flags.sort_by_key(ToString::to_string);
            }
            if let Some(Value::Array(anomalies)) = answer.get_mut("anomalies") {
                anomalies.iter_mut().for_each(|anomaly| *anomaly = anomaly["rule"].take());
            }
            answer
        }
        Err(Failure::Denied(denial)) => json!({ "denied": ffi::denial(&denial) }),
        // What a model costs is asked, not denied; stories call an unknown model unknown all the same.
        Err(Failure::Failed(why)) => json!({ "error": ffi::error(&why) }),
    }
}

struct Runner {
    guard: Guard,
    clock: ManualClock,
    folder: Folder,
    config: Value,
    prices: Vec<Value>,
    holds: HashMap<String, Option<Hold>>,
    streams: HashSet<String>,
    tokens: HashMap<String, String>,
    runs: HashMap<String, Run>,
    stops: HashMap<String, Value>,
}

impl Runner {
    fn start(story: &Story) -> Result<Self, Failure> {
        let folder = Folder::new();
        folder.write(&story.config, &story.prices);
        let (builder, clock) =
            ffi::builder(&json!({ "file": folder.config(), "manual_clock": story.start }))?;
        Ok(Self {
            guard: builder.build()?,
            clock: clock.expect("a manual clock"),
            folder,
            config: story.config.clone(),
            prices: story.prices.clone(),
            holds: HashMap::new(),
            streams: HashSet::new(),
            tokens: HashMap::new(),
            runs: HashMap::new(),
            stops: HashMap::new(),
        })
    }

    fn step(&mut self, step: &Value, with: &Map<String, Value>) -> Answer {
        let args = Value::Object(with.clone());
        match step["do"].as_str().unwrap_or_default() {
            "advance" => self.clock.advance(step["ms"].as_i64().expect("ms")),
            "set_time" => self.clock.set(Timestamp::parse(step["to"].as_str().expect("to"))?),
            "reserve" | "tool" => return self.reserve(step, &args),
            "settle" => return self.settle(step, &args),
            "settle_token" => return self.invoke("settle", &self.with_token(step, with)),
            "release" => self.hold(step)?.release(None)?,
            "release_token" => return self.invoke("release", &self.with_token(step, with)),
            "detach" => {
                let token = self.hold(step)?.detach()?;
                self.tokens.insert(name(step, "as"), token);
            }
            "abandon" => drop(self.holds.insert(name(step, "hold"), None)),
            "chunk" => self.chunk(step, with)?,
            "lost_attempt" => self.hold(step)?.lost_attempt(),
            "finish" => return Ok(ffi::receipt(&self.hold(step)?.finish()?)),
            "close" => return Ok(ffi::receipt(&self.hold(step)?.close()?)),
            "cut" => return Ok(ffi::receipt(&self.hold(step)?.cut(None)?)),
            "expire" => return Ok(json!({ "expired": self.invoke("expire_due", &json!({}))? })),
            "balances" => return Ok(self.invoke("balances", &args)?["items"].take()),
            "stop" => {
                let id = self.invoke("stop", &args)?;
                self.stops.insert(name(step, "as"), id);
            }
            "resume" => {
                let known = step["stop"].as_str().and_then(|name| self.stops.get(name));
                let args = known.map_or(args, |id| json!({ "stop_id": id }));
                return self.invoke("resume", &args);
            }
            method @ ("set_limit" | "set_limits") => drop(self.invoke(method, &args)?),
            "start_run" | "child" => self.start_run(step, with)?,
            "carry" => {
                let token = self.runs[&name(step, "run")].token()?;
                self.tokens.insert(name(step, "as"), token);
            }
            "resume_run" => {
                let args = self.with_token(step, with);
                let run = self.guard.resume_run(&ffi::run_token(&args["token"])?)?;
                self.runs.insert(name(step, "as"), run);
            }
            "end_run" => self.runs[&name(step, "run")].end(),
            "run" => return Ok(self.run_state(step)),
            "reload" => self.reload(with)?,
            "statement" => return self.statement(&args),
            "simulate" => return self.simulate(with),
            "close_guard" => return self.invoke("close", &json!({})),
            method => return self.invoke(method, &args),
        }
        Ok(ok())
    }

    fn invoke(&self, method: &str, args: &Value) -> Answer {
        Ok(ffi::invoke(&self.guard, method, args)?)
    }

    fn reserve(&mut self, step: &Value, args: &Value) -> Answer {
        let call = ffi::call(args)?;
        let hold = match step["run"].as_str() {
            Some(run) => self.runs[run].reserve(&call)?,
            None => self.guard.reserve(&call)?,
        };
        let answer = ffi::hold(&hold);
        // A handle that the story does not name is kept: dropping it would abandon the call.
        let unnamed = || format!("unnamed-{}", self.holds.len());
        let key = step["as"].as_str().map_or_else(unnamed, str::to_owned);
        self.holds.insert(key, Some(hold));
        Ok(answer)
    }

    fn hold(&mut self, step: &Value) -> Result<&mut Hold, Failure> {
        let found = self.holds.get_mut(&name(step, "hold")).and_then(Option::as_mut);
        Ok(found.ok_or_else(|| Error::new(Code::HoldClosed, "the handle is gone"))?)
    }

    fn settle(&mut self, step: &Value, args: &Value) -> Answer {
        let settle = ffi::settle_with(args)?;
        Ok(ffi::receipt(&self.hold(step)?.try_settle(&settle, None)?))
    }

    fn with_token(&self, step: &Value, with: &Map<String, Value>) -> Value {
        let mut args = with.clone();
        args.entry("token").or_insert_with(|| self.tokens[&name(step, "token")].clone().into());
        Value::Object(args)
    }

    fn chunk(&mut self, step: &Value, with: &Map<String, Value>) -> Result<(), Failure> {
        let api = with.get("api").map(|api| api.as_str().and_then(Api::parse).expect("an API"));
        let first = self.streams.insert(name(step, "hold"));
        let hold = self.hold(step)?;
        if first {
            hold.stream(api);
        }
        hold.chunk(&with["event"]);
        Ok(())
    }

    fn start_run(&mut self, step: &Value, with: &Map<String, Value>) -> Result<(), Failure> {
        let id = name(step, "as");
        let mut args = with.clone();
        args.insert("id".to_owned(), id.as_str().into());
        let options = ffi::run_options(&Value::Object(args))?;
        let run = match step["run"].as_str() {
            Some(parent) => self.runs[parent].child(options)?,
            None => self.guard.start_run(options)?,
        };
        self.runs.insert(id, run);
        Ok(())
    }

    fn statement(&self, args: &Value) -> Answer {
        Ok(self.invoke("statement", args)?["entries"].take())
    }

    /// What another configuration would have done to everything so far.
    fn simulate(&self, with: &Map<String, Value>) -> Answer {
        let entries = self.statement(&json!({ "limit": 1_000 }))?;
        let mut config = with.get("config").cloned().unwrap_or_else(|| json!({}));
        config["prices"] = json!({ "builtin": false });
        let prices = with.get("prices").and_then(Value::as_array).unwrap_or(&self.prices);
        let text = |price: &Value| json!({ "name": "prices.json", "text": price.to_string() });
        let prices: Vec<Value> = prices.iter().map(text).collect();
        Ok(ffi::simulate(&json!({ "entries": entries, "config": config, "prices": prices }))?)
    }

    fn run_state(&self, step: &Value) -> Value {
        let balances = self.runs[&name(step, "run")].balances();
        let key = |budget: &str| budget.trim_start_matches("run.").to_owned();
        balances.iter().map(|balance| (key(&balance.budget), ffi::balance(balance))).collect()
    }

    /// Writes the files and reads them; after an error the files that were good stand there again.
    fn reload(&mut self, with: &Map<String, Value>) -> Result<(), Failure> {
        let config = with.get("config").unwrap_or(&self.config).clone();
        let prices = with.get("prices").and_then(Value::as_array).unwrap_or(&self.prices).clone();
        self.folder.write(&config, &prices);
        let answer = self.invoke("reload", &json!({}));
        if answer.is_ok() {
            (self.config, self.prices) = (config, prices);
        } else {
            self.folder.write(&self.config, &self.prices);
        }
        answer.map(drop)
    }
}

fn with(step: &Value) -> Map<String, Value> {
    step["with"].as_object().cloned().unwrap_or_default()
}

fn name(step: &Value, key: &str) -> String {
    step[key].as_str().unwrap_or_else(|| panic!("a step without {key}: {step}")).to_owned()
}
