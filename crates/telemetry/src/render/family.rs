use std::borrow::Cow;
use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel, EncodeLabelKey, EncodeLabelValue, LabelEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::counter::HistogramSum;

/// One label of a series. The encoder escapes its value.
#[derive(Clone, Debug)]
pub(super) struct Label<'a>(&'static str, Cow<'a, str>);

impl<'a> Label<'a> {
    pub(super) fn new(name: &'static str, value: impl Into<Cow<'a, str>>) -> Self {
        Self(name, value.into())
    }
}

impl EncodeLabel for Label<'_> {
    fn encode(&self, mut encoder: LabelEncoder<'_>) -> fmt::Result {
        let mut key = encoder.encode_label_key()?;
        EncodeLabelKey::encode(&self.0, &mut key)?;
        let mut value = key.encode_label_value()?;
        EncodeLabelValue::encode(&&*self.1, &mut value)?;
        value.finish()
    }
}

pub(super) static BYTES: Unit = Unit::Bytes;
pub(super) static SECONDS: Unit = Unit::Seconds;

/// Writes metric families.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    pub(super) fn counter<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
    ) -> Result<Counters<'s>, fmt::Error> {
        let encoder = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Counter)?;
        Ok(Counters(encoder))
    }

    pub(super) fn gauge<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
    ) -> Result<Gauges<'s>, fmt::Error> {
        let encoder = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        Ok(Gauges(encoder))
    }

    /// Starts a family of histograms in seconds.
    pub(super) fn histogram<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
    ) -> Result<Histograms<'s>, fmt::Error> {
        let kind = MetricType::Histogram;
        let encoder = self.0.encode_descriptor(name, help, Some(&SECONDS), kind)?;
        Ok(Histograms(encoder))
    }

    /// Writes an info metric, whose content is its labels. The suffix `_info` is appended to the name.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &[Label<'_>]) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Info)?
            .encode_info(&labels)
    }
}

/// A family of counters. The suffix `_total` is appended to the name.
pub(super) struct Counters<'a>(MetricEncoder<'a>);

impl Counters<'_> {
    pub(super) fn series(&mut self, labels: &[Label<'_>], value: u64) -> fmt::Result {
        if labels.is_empty() {
            return self.0.encode_counter::<NoLabelSet, _, u64>(&value, None);
        }
        self.0
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }
}

/// A family of gauges.
pub(super) struct Gauges<'a>(MetricEncoder<'a>);

impl Gauges<'_> {
    pub(super) fn series(&mut self, labels: &[Label<'_>], value: u64) -> fmt::Result {
        if labels.is_empty() {
            return self.0.encode_gauge(&value);
        }
        self.0.encode_family(&labels)?.encode_gauge(&value)
    }

    pub(super) fn float_series(&mut self, labels: &[Label<'_>], value: f64) -> fmt::Result {
        self.0.encode_family(&labels)?.encode_gauge(&value)
    }

    /// Writes the only series of the family.
    pub(super) fn float(&mut self, value: f64) -> fmt::Result {
        self.0.encode_gauge(&value)
    }
}

/// A family of histograms.
pub(super) struct Histograms<'a>(MetricEncoder<'a>);

impl Histograms<'_> {
    pub(super) fn series(&mut self, labels: &[Label<'_>], sum: &HistogramSum) -> fmt::Result {
        self.0
            .encode_family(&labels)?
            .encode_histogram::<NoLabelSet>(sum.seconds(), sum.count(), &sum.buckets(), None)
    }
}
