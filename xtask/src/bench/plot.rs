//! What grows with the number of customers, drawn: charts that GitHub renders from their text.

use super::row::Row;
use super::table::grouped;

/// A chart of the figures whose names begin and end like this, with the number of customers between.
struct Chart {
    title: &'static str,
    axis: &'static str,
    begins: &'static str,
    ends: &'static str,
}

const CHARTS: &[Chart] = &[
    Chart {
        title: "Trivial executions per second, 100 in flight, as customers grow",
        axis: "per second",
        begins: "trivial, 100 in flight, over ",
        ends: " customers",
    },
    Chart {
        title: "Memory of one customer awake, as customers grow",
        axis: "KiB",
        begins: "memory of a customer awake, of ",
        ends: "",
    },
];

/// All charts there are figures for.
pub(super) fn of(rows: &[Row]) -> String {
    CHARTS.iter().filter_map(|chart| chart.drawn(rows)).collect::<Vec<_>>().join("\n")
}

impl Chart {
    fn drawn(&self, rows: &[Row]) -> Option<String> {
        let points: Vec<(i64, f64)> =
            rows.iter().filter_map(|row| Some((self.customers(&row.name)?, row.value))).collect();
        let highest = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        if points.is_empty() || highest <= 0.0 {
            return None;
        }
        let names: Vec<String> = points.iter().map(|(customers, _)| format!("\"{}\"", grouped(*customers))).collect();
        let values: Vec<String> = points.iter().map(|(_, value)| format!("{value:.1}")).collect();
        let (title, axis, top) = (self.title, self.axis, rounded_up(highest));
        let (names, values) = (names.join(", "), values.join(", "));
        Some(format!(
            "```mermaid\nxychart-beta\n    title \"{title}\"\n    x-axis \"customers\" [{names}]\n    y-axis \"{axis}\" 0 --> {top}\n    bar [{values}]\n```\n"
        ))
    }

    fn customers(&self, name: &str) -> Option<i64> {
        name.strip_prefix(self.begins)?.strip_suffix(self.ends)?.parse().ok()
    }
}

/// A round number that is not below `value`, for the top of an axis.
fn rounded_up(value: f64) -> f64 {
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .map(|times| times * unit)
        .into_iter()
        .find(|top| *top >= value)
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_a_bar_for_each_size() {
        let row = |customers: u32, value| {
            Row::new(&format!("trivial, 100 in flight, over {customers} customers"), &[value], "/s")
        };
        let text = of(&[row(10, 5_210.0), row(1_000, 4_900.0)]);
        assert!(text.contains("x-axis \"customers\" [\"10\", \"1,000\"]"), "{text}");
        assert!(text.contains("0 --> 6000") && text.contains("bar [5210.0, 4900.0]"), "{text}");
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!(
            [rounded_up(18.0), rounded_up(5.0), rounded_up(0.7)].map(|top| format!("{top:.1}")),
            ["20.0", "5.0", "0.8"]
        );
    }
}
