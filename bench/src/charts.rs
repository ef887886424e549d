//! Charts as SVG, plain enough for every browser and for a page's dark mode.

use std::fmt::Write as _;

use crate::{
    results::{Percentiles, Results},
    table::figure,
};

const WIDTH: f64 = 760.0;
/// Where bars and plots begin; names stand to the left.
const LEFT: f64 = 150.0;
const RIGHT: f64 = 70.0;
const BAR: f64 = 13.0;

/// One bar.
struct Bar {
    name: String,
    colour: &'static str,
    value: f64,
}

/// Bars that belong together.
struct Group {
    title: String,
    bars: Vec<Bar>,
}

/// Processor time for a request: a group for each kind of token, a bar for each contender.
pub(crate) fn cpu(results: &Results) -> String {
    let groups = results.scenarios().into_iter().map(|scenario| Group {
        title: scenario.name(),
        bars: results
            .loads
            .iter()
            .filter(|load| load.scenario == scenario)
            .map(|load| Bar {
                name: load.contender.name.to_owned(),
                colour: load.contender.colour,
                value: load.cpu.median(),
            })
            .collect(),
    });
    bars(
        "CPU per request of one Envoy worker, microseconds",
        &groups.collect::<Vec<_>>(),
    )
}

/// Latencies: a group for each percentile, a bar for each contender.
pub(crate) fn latency(results: &Results) -> String {
    type Pick = fn(&Percentiles) -> f64;
    let picks: [(&str, Pick); 3] = [
        ("p50", |percentiles| percentiles.p50.median()),
        ("p99", |percentiles| percentiles.p99.median()),
        ("p99.9", |percentiles| percentiles.p999.median()),
    ];
    let groups = picks.map(|(title, pick)| Group {
        title: title.to_owned(),
        bars: results
            .latencies
            .iter()
            .filter_map(|latency| {
                Some(Bar {
                    name: latency.contender.name.to_owned(),
                    colour: latency.contender.colour,
                    value: pick(latency.percentiles.as_ref()?),
                })
            })
            .collect(),
    });
    let rate = results.paced_at.unwrap_or_default();
    bars(
        &format!("Latency at {rate:.0} requests in a second, microseconds"),
        &groups,
    )
}

/// Groups of horizontal bars on one scale that begins at zero.
fn bars(title: &str, groups: &[Group]) -> String {
    let largest = groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.value)
        .fold(0.0, f64::max);
    let scale = (WIDTH - LEFT - RIGHT) / if largest > 0.0 { largest } else { 1.0 };
    let mut body = String::new();
    let mut y = 44.0;
    for group in groups {
        text(&mut body, 12.0, y + 10.0, "start", "600", &group.title);
        y += 18.0;
        for bar in &group.bars {
            text(&mut body, LEFT - 8.0, y + 10.0, "end", "400", &bar.name);
            let length = (bar.value * scale).max(0.5);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{y}" width="{length:.1}" height="{BAR}" rx="2" fill="{}"/>"#,
                bar.colour
            );
            let end = LEFT + length + 5.0;
            text(&mut body, end, y + 10.0, "start", "400", &figure(bar.value));
            y += BAR + 3.0;
        }
        y += 10.0;
    }
    frame(title, y + 4.0, &body)
}

/// A line through points.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) colour: &'static str,
    /// How many there are of what grows, and the value.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines over a logarithmic axis of what grows; values begin at zero.
pub(crate) fn growth(title: &str, axis: &str, lines: &[Line]) -> String {
    const TOP: f64 = 56.0;
    const HEIGHT: f64 = 240.0;
    let points = || lines.iter().flat_map(|line| &line.points);
    let first = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let last = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let largest = points().map(|(_, y)| *y).fold(0.0, f64::max) * 1.1;
    let decades = (last / first).log10().max(f64::MIN_POSITIVE);
    let plot = WIDTH - 70.0 - RIGHT;
    let x = |value: f64| 70.0 + plot * (value / first).log10() / decades;
    let y = |value: f64| TOP + HEIGHT - HEIGHT * value / largest.max(f64::MIN_POSITIVE);

    let mut body = String::new();
    for step in 0..=4 {
        let value = largest * f64::from(step) / 4.0;
        let _ = writeln!(
            body,
            r##"<path d="M70 {0:.1}H{1:.1}" stroke="#dadce0"/>"##,
            y(value),
            70.0 + plot
        );
        text(
            &mut body,
            64.0,
            y(value) + 4.0,
            "end",
            "400",
            &figure(value),
        );
    }
    let mut ticks: Vec<f64> = points().map(|(x, _)| *x).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    for tick in ticks {
        let label = format!("{tick:.0}");
        text(
            &mut body,
            x(tick),
            TOP + HEIGHT + 16.0,
            "middle",
            "400",
            &label,
        );
    }
    text(
        &mut body,
        70.0 + plot / 2.0,
        TOP + HEIGHT + 34.0,
        "middle",
        "400",
        axis,
    );
    for (number, line) in lines.iter().enumerate() {
        let path: Vec<String> = line
            .points
            .iter()
            .map(|point| format!("{:.1} {:.1}", x(point.0), y(point.1)))
            .collect();
        let _ = writeln!(
            body,
            r#"<path d="M{}" fill="none" stroke="{}" stroke-width="2"/>"#,
            path.join("L"),
            line.colour
        );
        for point in &line.points {
            let _ = writeln!(
                body,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3" fill="{}"/>"#,
                x(point.0),
                y(point.1),
                line.colour
            );
        }
        let left = 70.0 + 160.0 * number as f64;
        let _ = writeln!(
            body,
            r#"<rect x="{left}" y="34" width="10" height="10" rx="2" fill="{}"/>"#,
            line.colour
        );
        text(&mut body, left + 15.0, 43.0, "start", "400", &line.name);
    }
    frame(title, TOP + HEIGHT + 46.0, &body)
}

fn frame(title: &str, height: f64, body: &str) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    text(&mut svg, 12.0, 22.0, "start", "600", title);
    svg.push_str(body);
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, weight: &str, words: &str) {
    let words = words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    // A string takes all that is written to it.
    let _ = writeln!(
        svg,
        r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-weight="{weight}" fill="#202124">{words}</text>"##
    );
}

#[cfg(test)]
mod tests {
    use super::{Bar, Group, Line, bars, growth};

    #[test]
    fn longest_bar_fills_the_width_and_others_are_in_proportion() {
        let bar = |value| Bar {
            name: "one < two".to_owned(),
            colour: "#000000",
            value,
        };
        let group = Group {
            title: "group".to_owned(),
            bars: vec![bar(50.0), bar(100.0)],
        };
        let svg = bars("title", &[group]);
        assert!(
            svg.contains(r#"width="540.0""#) && svg.contains(r#"width="270.0""#),
            "{svg}"
        );
        assert!(
            svg.contains("one &lt; two") && svg.ends_with("</svg>\n"),
            "{svg}"
        );
    }

    #[test]
    fn growth_has_equal_steps_for_equal_factors() {
        let line = Line {
            name: "line".to_owned(),
            colour: "#000000",
            points: vec![(1.0, 1.0), (10.0, 1.0), (100.0, 1.0)],
        };
        let svg = growth("title", "axis", &[line]);
        for middle in ["70.0", "380.0", "690.0"] {
            assert!(svg.contains(&format!(r#"cx="{middle}""#)), "{svg}");
        }
    }
}
