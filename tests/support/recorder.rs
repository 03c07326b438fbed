//! A recorder of metrics that a test reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata,
    SharedString, Unit,
};

/// What was measured. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Measured>>, Arc<Mutex<Option<Look>>>);

/// What a recorder does besides, whenever it is asked for anything.
type Look = Box<dyn Fn() + Send>;

#[derive(Default)]
struct Measured {
    /// How often anything was asked for.
    touches: usize,
    series: BTreeMap<Series, Vec<f64>>,
    described: BTreeMap<String, (Kind, Option<Unit>)>,
}

/// A name with its labels, sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Recorder {
    pub(crate) fn touches(&self) -> usize {
        self.0.lock().unwrap().touches
    }

    /// Does this, too, from now on, whenever it is asked for anything.
    pub(crate) fn look(&self, look: impl Fn() + Send + 'static) {
        *self.1.lock().unwrap() = Some(Box::new(look));
    }

    /// All that there is.
    pub(crate) fn series(&self) -> Vec<Series> {
        self.0.lock().unwrap().series.keys().cloned().collect()
    }

    pub(crate) fn described(&self) -> BTreeMap<String, (Kind, Option<Unit>)> {
        self.0.lock().unwrap().described.clone()
    }

    /// What a histogram has, in the order in which it came; labels as in `client="", outcome="ok"`.
    pub(crate) fn values(&self, name: &str, labels: &str) -> Vec<f64> {
        let measured = self.0.lock().unwrap();
        let mut found = measured
            .series
            .iter()
            .filter(|(series, _)| series.name == name && series.shown() == labels);
        found
            .next()
            .map(|(_, values)| values.clone())
            .unwrap_or_default()
    }

    /// The sum of a counter or a gauge, or 0 if there is none.
    pub(crate) fn sum(&self, name: &str, labels: &str) -> f64 {
        self.values(name, labels).iter().sum()
    }

    /// All series of this name, as they are shown.
    pub(crate) fn shown(&self, name: &str) -> Vec<String> {
        let series = self.series();
        let of_name = series.iter().filter(|series| series.name == name);
        of_name.map(Series::shown).collect()
    }

    fn of(&self, kind: Kind, key: &Key) -> Arc<Cell> {
        self.0.lock().unwrap().touches += 1;
        if let Some(look) = &*self.1.lock().unwrap() {
            look();
        }
        let labels = key.labels();
        let series = Series {
            name: key.name().to_owned(),
            kind,
            labels: labels
                .map(|label| (label.key().to_owned(), label.value().to_owned()))
                .collect(),
        };
        Arc::new(Cell(self.clone(), series))
    }

    fn describe(&self, kind: Kind, name: &KeyName, unit: Option<Unit>) {
        let mut measured = self.0.lock().unwrap();
        let name = name.as_str().to_owned();
        measured.described.insert(name, (kind, unit));
    }
}

impl Series {
    fn shown(&self) -> String {
        let labels = self.labels.iter();
        let labels: Vec<_> = labels
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        labels.join(", ")
    }
}

/// Where the values of one series go.
struct Cell(Recorder, Series);

impl Cell {
    fn push(&self, value: f64) {
        let mut measured = self.0.0.lock().unwrap();
        measured
            .series
            .entry(self.1.clone())
            .or_default()
            .push(value);
    }
}

impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.push(u32::try_from(value).unwrap().into());
    }

    fn absolute(&self, _: u64) {
        unreachable!("no counter of this crate is set");
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.push(value);
    }

    fn decrement(&self, value: f64) {
        self.push(-value);
    }

    fn set(&self, _: f64) {
        unreachable!("two sources of one name would overwrite each other");
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(Kind::Counter, &name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(Kind::Gauge, &name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(Kind::Histogram, &name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(Kind::Counter, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.of(Kind::Gauge, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of(Kind::Histogram, key))
    }
}
