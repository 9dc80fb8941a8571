//! What `kubectl get vmi,nodes -o json` prints: a list of both, of one of them, or a single one.

use migsim::input::{InputError, Mistakes};
use migsim_models::units::Bytes;
use serde_json::Value;

use super::{Guest, Host, Site};
use crate::number::size;
use crate::source::{Source, items};

pub(super) fn read(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let value = source.json()?;
    let mut mistakes = Vec::new();
    for item in items(value.get("items").unwrap_or(&value)) {
        // Items of a typed list have no kind of their own.
        let is_node = item.pointer("/status/nodeInfo").is_some()
            || item.get("kind").and_then(Value::as_str) == Some("Node");
        let read = match is_node {
            true => node(source, item).map(|host| site.host(host)),
            false => vmi(source, item).and_then(|guest| site.guest(guest)),
        };
        mistakes.extend(read.err());
    }
    Mistakes(mistakes).or(())
}

fn text<'a>(item: &'a Value, at: &str) -> Option<&'a str> {
    item.pointer(at).and_then(Value::as_str)
}

/// An amount of Kubernetes: with a binary or decimal suffix, or thousandths.
fn quantity(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.as_str(),
        _ => return None,
    };
    if let Some(thousandths) = text.strip_suffix('m') {
        return Some(thousandths.parse::<f64>().ok()? / 1e3);
    }
    for (suffix, factor) in [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)] {
        if let Some(number) = text.strip_suffix(suffix) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    text.parse().ok().or_else(|| size(text).map(|bytes| bytes.0 as f64))
}

fn bytes(item: &Value, at: &str) -> Option<Bytes> {
    let bytes = quantity(item.pointer(at)?)?;
    (1.0..1e18).contains(&bytes).then_some(Bytes(bytes as u64))
}

fn node(source: &Source, item: &Value) -> Result<Host, InputError> {
    let name = text(item, "/metadata/name")
        .ok_or_else(|| InputError::new(&source.place, "has a node without metadata.name"))?;
    let cordoned = item.pointer("/spec/unschedulable").and_then(Value::as_bool).unwrap_or(false);
    Ok(Host {
        name: name.to_owned(),
        memory: bytes(item, "/status/capacity/memory"),
        cores: item.pointer("/status/capacity/cpu").and_then(quantity),
        out: cordoned.then(|| "cordoned".to_owned()),
        ..Host::default()
    })
}

/// Why a guest stays, as its condition LiveMigratable and its devices say.
fn stays(item: &Value) -> Option<String> {
    let conditions = item.pointer("/status/conditions").and_then(Value::as_array);
    let refused = conditions.into_iter().flatten().find(|condition| {
        text(condition, "/type") == Some("LiveMigratable")
            && text(condition, "/status") == Some("False")
    });
    if let Some(refused) = refused {
        let reason = text(refused, "/reason").unwrap_or("no reason is given");
        return Some(format!("KubeVirt calls it not live-migratable: {reason}"));
    }
    let devices = |kind: &str| {
        let list = item.pointer(&format!("/spec/domain/devices/{kind}")).and_then(Value::as_array);
        list.is_some_and(|list| !list.is_empty())
    };
    (devices("gpus") || devices("hostDevices"))
        .then(|| "a device of its host is passed through".to_owned())
}

fn vmi(source: &Source, item: &Value) -> Result<Guest, InputError> {
    let name = text(item, "/metadata/name").ok_or_else(|| {
        InputError::new(&source.place, "has an item that is neither a node nor a guest with a name")
    })?;
    let name = match text(item, "/metadata/namespace") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    };
    let count = |what: &str| {
        let at = item.pointer(&format!("/spec/domain/cpu/{what}"));
        at.and_then(Value::as_u64).unwrap_or(1)
    };
    let vcpus = count("cores").saturating_mul(count("sockets")).saturating_mul(count("threads"));
    let phase = text(item, "/status/phase").unwrap_or("Running");
    Ok(Guest {
        name,
        host: text(item, "/status/nodeName").map(str::to_owned),
        memory: bytes(item, "/status/memory/guestCurrent")
            .or_else(|| bytes(item, "/spec/domain/memory/guest"))
            .or_else(|| bytes(item, "/spec/domain/resources/requests/memory")),
        vcpus: vcpus.try_into().ok(),
        stays: stays(item),
        off: (phase != "Running").then(|| phase.to_lowercase()),
        place: source.place.clone(),
        ..Guest::default()
    })
}
