//! An agent run with limits: the sub-agent's calls count on its parent, and the third call is refused.
//! `cargo run -p spendrail-tests --example agent`

use spendrail::guard::{ReserveError, RunOptions};
use spendrail::policy::RunLimits;
use spendrail::values::{Bucket, Usage};
use spendrail::{Call, Guard};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let budgets = "[[budgets]]\nname = \"all\"\nlimit = \"1 USD\"\nwindow = \"day\"";
    let guard = Guard::builder().config_text("example", budgets).build()?;
    let limits = RunLimits { max_calls: Some(2), ..RunLimits::default() };
    let run = guard.start_run(RunOptions { limits, ..RunOptions::default() })?;
    let helper = run.child(RunOptions::default())?;

    let call = Call::new("openai", "gpt-4o-mini").input_tokens(1_000).max_output_tokens(200);
    for caller in [&run, &helper, &helper] {
        match caller.reserve(&call) {
            Ok(hold) => {
                let used = Usage::new().with(Bucket::Input, 1_000).with(Bucket::Output, 150);
                println!("{} USD", hold.settle(&used)?.total());
            }
            Err(ReserveError::Denied(denial)) => println!("{}: {denial}", denial.code),
            Err(ReserveError::Failed(error)) => return Err(error.into()),
        }
    }
    helper.end();
    run.end();
    Ok(())
}
