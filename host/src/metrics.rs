//! Metrics of a process, by name: what every worker counts into, and what a test or an operator reads.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::abi::Status;

/// The value of one metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricValue {
    /// Only grows.
    Counter(u64),
    /// Goes up and down.
    Gauge(u64),
    /// Every value recorded, in order.
    Histogram(Vec<u64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    /// The two lowest bits of every metric id are its kind, as in Envoy.
    const MASK: u32 = 0b11;

    pub(crate) fn from_guest(value: u32) -> Result<Self, Status> {
        match value {
            0 => Ok(Self::Counter),
            1 => Ok(Self::Gauge),
            2 => Ok(Self::Histogram),
            _ => Err(Status::BadArgument),
        }
    }

    fn of_id(id: u32) -> Option<Self> {
        Self::from_guest(id & Self::MASK).ok()
    }
}

/// The metrics of one process.
#[derive(Debug, Default)]
pub struct Metrics {
    values: Mutex<BTreeMap<(String, MetricKind), MetricValue>>,
}

impl Metrics {
    /// The value of a counter, if one of this name was defined.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<u64> {
        match self.value(name, MetricKind::Counter)? {
            MetricValue::Counter(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a gauge, if one of this name was defined.
    #[must_use]
    pub fn gauge(&self, name: &str) -> Option<u64> {
        match self.value(name, MetricKind::Gauge)? {
            MetricValue::Gauge(value) => Some(value),
            _ => None,
        }
    }

    /// The values recorded in a histogram, in order, if one of this name was defined.
    #[must_use]
    pub fn histogram(&self, name: &str) -> Option<Vec<u64>> {
        match self.value(name, MetricKind::Histogram)? {
            MetricValue::Histogram(values) => Some(values),
            _ => None,
        }
    }

    /// Every metric, by name. Of metrics of one name and several kinds, the last kind (counter, gauge, histogram) wins.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, MetricValue> {
        self.with(|values| {
            values
                .iter()
                .map(|((name, _), value)| (name.clone(), value.clone()))
                .collect()
        })
    }

    fn value(&self, name: &str, kind: MetricKind) -> Option<MetricValue> {
        self.with(|values| values.get(&(name.to_owned(), kind)).cloned())
    }

    fn define(&self, key: &(String, MetricKind)) {
        self.with(|values| {
            values.entry(key.clone()).or_insert(match key.1 {
                MetricKind::Counter => MetricValue::Counter(0),
                MetricKind::Gauge => MetricValue::Gauge(0),
                MetricKind::Histogram => MetricValue::Histogram(Vec::new()),
            });
        });
    }

    fn change<T>(
        &self,
        key: &(String, MetricKind),
        act: impl FnOnce(&mut MetricValue) -> T,
    ) -> Result<T, Status> {
        self.with(|values| values.get_mut(key).map(act))
            .ok_or(Status::NotFound)
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&mut BTreeMap<(String, MetricKind), MetricValue>) -> T,
    ) -> T {
        act(&mut self.values.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The metric ids that one VM has been given.
#[derive(Debug, Default)]
pub(crate) struct MetricIds {
    defined: BTreeMap<u32, (String, MetricKind)>,
}

impl MetricIds {
    pub(crate) fn define(
        &mut self,
        metrics: &Metrics,
        kind: MetricKind,
        name: String,
    ) -> Result<u32, Status> {
        let number = u32::try_from(self.defined.len())
            .map_err(|_| Status::InternalFailure)?
            .wrapping_add(1);
        let id = number.checked_mul(4).ok_or(Status::InternalFailure)? | kind as u32;
        let key = (name, kind);
        metrics.define(&key);
        self.defined.insert(id, key);
        Ok(id)
    }

    /// Envoy's `incrementMetric`: a counter takes only positive offsets, a histogram none.
    pub(crate) fn increment(&self, metrics: &Metrics, id: u32, offset: i64) -> Result<(), Status> {
        match MetricKind::of_id(id) {
            Some(MetricKind::Counter | MetricKind::Gauge) => {}
            _ => return Err(Status::BadArgument),
        }
        let key = self.key(id)?;
        metrics.change(key, |value| {
            match value {
                MetricValue::Counter(count) if offset > 0 => {
                    *count = count.wrapping_add(offset.unsigned_abs())
                }
                MetricValue::Gauge(level) if offset > 0 => {
                    *level = level.wrapping_add(offset.unsigned_abs())
                }
                MetricValue::Gauge(level) => *level = level.wrapping_sub(offset.unsigned_abs()),
                MetricValue::Counter(_) | MetricValue::Histogram(_) => {
                    return Err(Status::BadArgument);
                }
            }
            Ok(())
        })?
    }

    /// Envoy's `recordMetric`: adds to a counter, sets a gauge, records in a histogram.
    pub(crate) fn record(&self, metrics: &Metrics, id: u32, recorded: u64) -> Result<(), Status> {
        metrics.change(self.key(id)?, |value| match value {
            MetricValue::Counter(count) => *count = count.wrapping_add(recorded),
            MetricValue::Gauge(level) => *level = recorded,
            MetricValue::Histogram(values) => values.push(recorded),
        })
    }

    /// Envoy's `getMetric`: a histogram cannot be read.
    pub(crate) fn read(&self, metrics: &Metrics, id: u32) -> Result<u64, Status> {
        match MetricKind::of_id(id) {
            Some(MetricKind::Counter | MetricKind::Gauge) => {}
            _ => return Err(Status::BadArgument),
        }
        metrics.change(self.key(id)?, |value| match value {
            MetricValue::Counter(value) | MetricValue::Gauge(value) => Ok(*value),
            MetricValue::Histogram(_) => Err(Status::BadArgument),
        })?
    }

    fn key(&self, id: u32) -> Result<&(String, MetricKind), Status> {
        self.defined.get(&id).ok_or(Status::NotFound)
    }
}
