//! Figures of several rounds as one: medians, which a round that was disturbed does not move.

use serde_json::{Value, json};

/// What the rounds of one measurement gave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample(pub(crate) Vec<f64>);

impl Sample {
    /// The middle value; of an even number the mean of the two in the middle. Not a number when there is none.
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// Half of the distance between the quartiles: how far a usual round lies from the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / 2.0
    }

    /// The value below which the part `part` (0 to 1) of all lies, between two values in proportion.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else {
            return f64::NAN;
        };
        let place = part * last as f64;
        let below = sorted[place.floor() as usize];
        let above = sorted[place.ceil() as usize];
        below + (above - below) * place.fract()
    }

    /// Each round divided by the same round of `other`, so that what disturbed both is divided out.
    pub(crate) fn ratio(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// Median, spread and all rounds.
    pub(crate) fn to_json(&self) -> Value {
        json!({"median": self.median(), "spread": self.spread(), "rounds": self.0})
    }
}

/// The value that the part `part` (0 to 1) of `sorted` does not exceed; 0 when there is none.
pub(crate) fn percentile(sorted: &[u64], part: f64) -> u64 {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Sample, percentile};

    #[test]
    fn median_is_not_moved_by_one_disturbed_round() {
        let sample = Sample(vec![30.0, 31.0, 900.0, 29.0, 30.5]);
        assert_eq!(sample.median(), 30.5);
        assert_eq!(sample.spread(), 0.5);
    }

    #[test]
    fn median_of_an_even_number_of_rounds_lies_between_the_two_in_the_middle() {
        assert_eq!(Sample(vec![4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert!(Sample(vec![]).median().is_nan());
    }

    #[test]
    fn ratio_pairs_rounds_and_so_divides_out_what_disturbed_both() {
        let one = Sample(vec![10.0, 20.0, 10.0]);
        let other = Sample(vec![20.0, 40.0, 20.0]);
        assert_eq!(one.ratio(&other), Sample(vec![0.5, 0.5, 0.5]));
    }

    #[test]
    fn percentile_is_a_value_that_was_measured() {
        let sorted: Vec<u64> = (1..=1000).collect();
        assert_eq!(percentile(&sorted, 0.5), 500);
        assert_eq!(percentile(&sorted, 0.99), 990);
        assert_eq!(percentile(&sorted, 0.999), 999);
        assert_eq!(percentile(&sorted[..1], 0.999), 1);
        assert_eq!(percentile(&[], 0.5), 0);
    }
}
