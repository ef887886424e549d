//! The benchmark runs and writes what others read. Nothing here is about how fast anything is.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

fn bench(output: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_nexus-bench"))
        .args(arguments)
        .args(["--quick", "--rounds", "1", "--output"])
        .arg(output)
        .output()
        .expect("the benchmark starts")
}

fn results(output: &Path, file: &str) -> Value {
    let text = fs::read(output.join(file)).expect("there are results");
    serde_json::from_slice(&text).expect("the results are JSON")
}

fn median(measurement: &Value) -> f64 {
    let median = measurement["median"].as_f64();
    let median = median.unwrap_or_else(|| panic!("no median: {measurement}"));
    assert!(median.is_finite() && median > 0.0, "{measurement}");
    assert!(
        measurement["rounds"]
            .as_array()
            .is_some_and(|rounds| rounds.len() == 1)
    );
    median
}

#[test]
fn quick_round_of_two_contenders_writes_figures_and_goals() {
    let folder = tempfile::tempdir().expect("a folder");
    let only = [
        "--only",
        "native",
        "nexus",
        "repeated-ES256",
        "distinct-EdDSA",
        "expired",
    ];
    let output = bench(folder.path(), &only);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");

    let results = results(folder.path(), "bench.json");
    let loads = results["loads"].as_array().expect("a list");
    let measured: Vec<(&str, &str)> = loads
        .iter()
        .map(|load| {
            let text = |name: &str| load[name].as_str().expect("a name");
            (text("scenario"), text("contender"))
        })
        .collect();
    let expected = ["repeated-ES256", "distinct-EdDSA", "expired"]
        .map(|scenario| [(scenario, "native"), (scenario, "nexus")]);
    assert_eq!(measured, expected.concat());
    for load in loads {
        let cpu = median(&load["cpu_us"]);
        assert!(median(&load["process_cpu_us"]) >= cpu, "{load}");
        assert!(median(&load["requests_per_second"]) > 1.0, "{load}");
        assert!(
            load["requests"]
                .as_u64()
                .is_some_and(|requests| requests > 0)
        );
        let ratio = median(&load["cpu_ratio_to_native"]);
        if load["contender"] == "native" {
            assert_eq!(ratio, 1.0);
        }
    }
    for contender in ["native", "nexus"] {
        let bytes = results["resident_bytes"][contender].as_u64();
        assert!(bytes.is_some_and(|bytes| bytes > 1 << 20), "{results}");
    }
    let goals = results["goals"].as_array().expect("a list");
    let eddsa = goals
        .iter()
        .find(|goal| goal["goal"] == "distinct EdDSA tokens")
        .expect("the goal is there");
    assert!(
        eddsa["measured"].is_number() && eddsa["reached"].is_boolean(),
        "{eddsa}"
    );
    assert!(
        goals.iter().any(|goal| goal["measured"].is_null()),
        "{goals:?}"
    );
    assert!(
        stdout.contains("repeated-ES256") && stdout.contains("distinct EdDSA tokens"),
        "{stdout}"
    );
}

#[test]
fn latencies_are_ordered_and_the_rate_is_half_of_what_the_slowest_can_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = bench(
        folder.path(),
        &["--only", "none", "native-cache", "latency"],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let results = results(folder.path(), "bench.json");
    let rate = results["latency"]["requests_per_second"]
        .as_f64()
        .expect("a rate");
    let capacity = results["loads"]
        .as_array()
        .and_then(|loads| {
            loads
                .iter()
                .find(|load| load["contender"] == "native-cache")
        })
        .map(|load| median(&load["requests_per_second"]))
        .expect("the capacity was measured");
    assert!((rate * 2.0 - capacity).abs() < 1.0, "{rate} {capacity}");
    for contender in results["latency"]["contenders"].as_array().expect("a list") {
        let percentiles = &contender["percentiles"];
        if !percentiles.is_null() {
            let at = |name: &str| median(&percentiles[name]);
            assert!(
                at("p50_us") <= at("p99_us") && at("p99_us") <= at("p999_us"),
                "{contender}"
            );
        }
    }
}

#[test]
fn growth_of_a_key_set_is_measured_at_both_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = bench(folder.path(), &["scale", "--only", "keys"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");

    let results = results(folder.path(), "scale.json");
    let points = results["growth"]["keys"].as_array().expect("a list");
    let sizes: Vec<&Value> = points.iter().map(|point| &point["size"]).collect();
    assert_eq!(sizes, [1, 1_000]);
    for point in points {
        median(&point["repeated_us"]);
        median(&point["distinct_us"]);
        median(&point["worker_until_ready_ms"]);
    }
    let configuration = |place: usize| points[place]["configuration_bytes"].as_u64();
    assert!(
        configuration(1) > configuration(0).map(|bytes| bytes * 100),
        "{points:?}"
    );
    assert!(stdout.contains("1 → 1000 keys, distinct token"), "{stdout}");
}

#[test]
fn start_of_each_contender_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = bench(folder.path(), &["startup"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");

    let results = results(folder.path(), "startup.json");
    let contenders = results["contenders"].as_array().expect("a list");
    let names: Vec<&Value> = contenders.iter().map(|one| &one["contender"]).collect();
    assert_eq!(names, ["none", "empty", "nexus"]);
    for contender in contenders {
        median(&contender["ready_ms"]);
        median(&contender["process_cpu_ms"]);
    }
    assert!(
        results["module_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0)
    );
}

#[test]
fn no_request_takes_more_instructions_than_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = bench(folder.path(), &["instructions"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");

    let results = results(folder.path(), "instructions.json");
    let figures = results.as_object().expect("an object");
    assert_eq!(figures.len(), 12);
    for (scenario, count) in figures {
        assert!(
            count.as_u64().is_some_and(|count| count > 1_000),
            "{scenario}: {count}"
        );
    }
}

#[test]
fn unknown_name_is_a_usage_error_that_names_the_known_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = bench(folder.path(), &["--only", "nginx"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("`nginx`") && error.contains("native-cache"),
        "{error}"
    );
}
