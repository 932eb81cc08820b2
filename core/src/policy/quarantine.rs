//! `[prices] quarantine`: when entries of other tools' price files are held back.

use super::tree::{Table, Value, fail, place};
use crate::catalog::Quarantine;
use crate::error::Result;
use crate::values::{Decimal, Unit};

/// `false`: never. A table: `ratio` (a price that moved further is held back) and `ceiling` (USD per million tokens).
/// Absent or `true`: 3 and 1,000 USD.
pub(super) fn read(prices: &mut Table) -> Result<Option<Quarantine>> {
    let path = prices.key("quarantine");
    let Some(node) = prices.take("quarantine") else { return Ok(Some(Quarantine::default())) };
    match node.value {
        Value::Bool(true) => return Ok(Some(Quarantine::default())),
        Value::Bool(false) => return Ok(None),
        _ => {}
    }
    let mut table = Table::new(node, &path)
        .map_err(|error| error.hint("write `false`, or { ratio = \"3\", ceiling = \"1000 USD\" }"))?;
    let line = table.line();
    let at = table.key("ratio");
    let ratio = match table.text("ratio")? {
        Some((text, line)) => Decimal::parse(&text).map_err(|error| place(error, &at, line))?,
        None => Decimal::parse("3")?,
    };
    let at = table.key("ceiling");
    let ceiling = match table.amount("ceiling")? {
        Some(amount) if amount.unit == Unit::Usd => amount.value,
        Some(_) => return Err(fail(&at, line, "is not an amount of USD, per million tokens")),
        None => 1_000_000_000_000,
    };
    table.finish()?;
    let fits = Quarantine::new(ratio, ceiling);
    fits.map(Some).ok_or_else(|| {
        fail(&path, line, "needs a ratio above 1 and a ceiling above 0")
            .hint("`quarantine = false` turns it off")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tree::Node;

    fn told(text: &str) -> Result<Option<Quarantine>> {
        read(&mut Table::new(Node::parse(text, &|_| None)?, "prices")?)
    }

    #[test]
    fn bounds_are_read() {
        let default = Some(Quarantine::default());
        assert_eq!(told("").unwrap(), default);
        assert_eq!(told("quarantine = true").unwrap(), default);
        assert_eq!(told("quarantine = false").unwrap(), None);
        assert_eq!(told("quarantine = { ratio = \"3\" }").unwrap(), default);
        let own = told("quarantine = { ratio = \"1.5\", ceiling = \"200 USD\" }").unwrap();
        assert_eq!(own, Quarantine::new(Decimal::parse("1.5").unwrap(), 200_000_000_000));
        for (text, field) in [
            ("quarantine = { ratio = \"1\" }", "prices.quarantine"),
            ("quarantine = { ratio = 3 }", "prices.quarantine.ratio"),
            ("quarantine = { ceiling = \"5 tokens\" }", "prices.quarantine.ceiling"),
            ("quarantine = { raio = \"3\" }", "prices.quarantine.raio"),
            ("quarantine = \"on\"", "prices.quarantine"),
        ] {
            assert_eq!(told(text).unwrap_err().field_name(), Some(field), "{text}");
        }
    }
}
