//! How high a node is.

use std::io;
use std::path::Path;

use ov_chains::shape::HeightProbe;
use ov_chains::shown_address;
use ov_types::Height;
use serde_json::Value;

use super::{ANSWER_BYTES_MAX, Scene, blocking, bounded, grpc, http, program, protobuf, value};

/// Asks a node for its height in one way after the other; an error says why it cannot be learned in any.
pub async fn height(probes: &[HeightProbe], scene: &Scene) -> Result<Height, String> {
    let mut why = Vec::new();
    for probe in probes {
        match bounded(scene.timeout, ask(probe, scene)).await {
            Ok(height) => return Ok(height),
            Err(error) => why.push(error),
        }
    }
    Err(why.join("; "))
}

async fn ask(probe: &HeightProbe, scene: &Scene) -> Result<Height, String> {
    match probe {
        HeightProbe::Http { url, pointer } => {
            let answer = http::get(url, true).await?;
            if !(200..300).contains(&answer.status) {
                return Err(format!("{} answers with status {}", shown_address(url), answer.status));
            }
            value::height(&value::find(&answer.body, pointer)?)
        }
        HeightProbe::Grpc { call, field } => {
            let answer = grpc::call(call).await?;
            let found = protobuf::find(&answer.message, field).map_err(|malformed| malformed.to_string());
            let found =
                found.and_then(|found| found.and_then(protobuf::Value::number).ok_or("it has no height".to_owned()));
            // On the wire a number below zero is a very large one.
            let height =
                found.and_then(|height| i64::try_from(height).map_err(|_| "its height is below zero".to_owned()));
            let height =
                height.map_err(|why| format!("{} gives an answer that cannot be used: {why}", call.shown()))?;
            Ok(Height(height.unsigned_abs()))
        }
        HeightProbe::Exec { program, args, pointer } => {
            height_in(&program::printed(scene, program, args).await?, pointer.as_deref())
        }
        HeightProbe::File { path, pointer } => {
            let (disk, path, pointer) = (scene.disk.clone(), path.clone(), pointer.clone());
            blocking(move || {
                let bytes = disk.read(&path, ANSWER_BYTES_MAX as u64).map_err(|error| unreadable(&path, &error))?;
                height_in(&bytes, pointer.as_deref()).map_err(|why| format!("{}: {why}", path.display()))
            })
            .await
        }
    }
}

fn height_in(bytes: &[u8], pointer: Option<&str>) -> Result<Height, String> {
    match pointer {
        Some(pointer) => value::height(&value::find(bytes, pointer)?),
        None => value::height(&Value::String(String::from_utf8_lossy(bytes).into_owned())),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be read: {error}", path.display())
}
