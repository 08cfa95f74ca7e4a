//! What a node of the family has in its `omnivisor.toml` unless it says otherwise: `defaults.toml`, filled in from the
//! node's own configuration, and the little that no key of that file can say.
//!
//! The layout is Cosmovisor's, so that a home can be looked after by the drop-in today and natively tomorrow.

use std::path::{Path, PathBuf};

use ov_types::{ReleaseName, UnitName};
use toml::{Table, Value};

use super::arguments::{flag_value, skip_heights};
use super::current::APPLIED_FILE;
use super::names::GENESIS;
use super::node_config::{NodeConfig, NodeLaunch};
use super::services::{GRPC_DEFAULT, height_question};
use super::shape::{
    KEY_IDENTITY, asked, exact_halt, has_key, height_files, node_config_of, own_grpc_of, plan_rules, pre_upgrade_codes,
    pre_upgrade_question, release_check, remote_signer, signer,
};
use crate::family::{Defaults, Scene, Wrong};
use crate::generic::{Cosmos, Key};
use crate::plans::PlanWriters;
use crate::shape::{NodeShape, Scout, SignerShape};
use crate::template::{Places, Template};

/// Everything that holds, with marks such as `<program>` for what is only known here.
const DEFAULTS: &str = include_str!("defaults.toml");
/// How often files of plans are looked at besides when the kernel tells of a change.
const PLANS_EVERY_MS: u64 = 300;

/// Sections about things that a node may not have, and a mark in them.
const IF_KNOWN: [(&[&str], &str); 4] = [
    (&["unit", "main", "ready"], "<rpc>"),
    (&["unit", "main", "health"], "<rpc>"),
    (&["probe", "height"], "<rpc>"),
    (&["validator"], "<key>"),
];

/// What holds where the file says nothing.
pub(crate) fn defaults(scene: &Scene<'_>) -> Defaults {
    let program = program(scene).map_err(|wrong| vec![wrong])?;
    let arguments = arguments(scene);
    let said = filled(scene, &arguments);
    let home_text = home_text(&arguments);
    let (node_home, config) = node_of(scene, &program, &said);
    let signer = signer(&node_home, &config).filter(|signer| has_key(scene.disk, signer));
    let text = |path: Option<PathBuf>| path.map(|path| path.to_string_lossy().into_owned());
    let known = [
        ("<program>", Some(program)),
        ("<node-home>", Some(home_text)),
        ("<rpc>", config.rpc),
        ("<key>", text(signer.as_ref().and_then(|signer| signer.key.clone()))),
        ("<sign-state>", text(signer.and_then(|signer| signer.sign_state))),
    ];
    // A test reads the text; were it broken, keys would be missing and told so.
    let mut table: Table = DEFAULTS.parse().unwrap_or_default();
    for (section, mark) in IF_KNOWN {
        if known.iter().any(|(known, value)| *known == mark && value.is_none()) {
            remove(&mut table, section);
        }
    }
    table.iter_mut().for_each(|(_, value)| fill(value, &known, &arguments));
    Ok(table)
}

/// The node's own home and configuration.
fn node_of(scene: &Scene<'_>, program: &str, arguments: &[String]) -> (PathBuf, NodeConfig) {
    with_node(scene, program, arguments, |node, node_home| {
        (node_home.to_owned(), node_config_of(scene.disk, node_home, node))
    })
}

/// What the node is launched with, and its own home.
fn with_node<T>(
    scene: &Scene<'_>,
    program: &str,
    arguments: &[String],
    look: impl FnOnce(NodeLaunch<'_>, &Path) -> T,
) -> T {
    let main = scene.file.unit.get("main");
    let inherits = main.is_none_or(|main| main.inherit_env);
    let environment = |name: &str| {
        let own = main.and_then(|main| main.env.get(name).cloned());
        own.or_else(|| std::env::var(name).ok().filter(|_| inherits))
    };
    let node = NodeLaunch { program, arguments, environment: &environment };
    let node_home = node.home().map_or_else(|| scene.home.to_owned(), |home| scene.home.join(home));
    look(node, &node_home)
}

/// Adds what no key can say: the first release's place, the copy of an applied plan, how the family writes plans and
/// ends its hook, where its data tells its height, and what makes its keys and its validators.
pub(crate) fn finish(scene: &Scene<'_>, shape: &mut NodeShape) {
    let section = section(scene);
    let genesis = ReleaseName::new(GENESIS).ok();
    let beside = shape.layout.releases.parent().unwrap_or(scene.home).join(GENESIS);
    shape.layout.placed = genesis.clone().map(|genesis| (genesis, beside)).into_iter().collect();
    shape.layout.first = genesis;
    shape.applied_copy = Some(APPLIED_FILE.to_owned());
    let arguments = filled(scene, &arguments(scene));
    // Where the program is missing, that was told.
    let (node_home, config) = node_of(scene, &program(scene).unwrap_or_default(), &arguments);
    shape.height_at_rest = Some(height_files(&node_home, &config));
    let declared = shape.signer.take().filter(|_| scene.file.validator.is_some());
    let declared = declared.map(|declared| SignerShape { identity: Some(KEY_IDENTITY.to_owned()), ..declared });
    shape.signer = declared.or_else(|| signer(&node_home, &config));
    shape.remote_signer = remote_signer(&node_home, &config);
    shape.release_check = program(scene).ok().map(|program| release_check(&program, &config));
    let skipped = skip_heights(&arguments);
    for scout in &mut shape.scouts {
        let Scout::PlanFile { rules, .. } = scout else { continue };
        let writers = if rules.writers.are_many() { rules.writers } else { PlanWriters::NodeOrPeople };
        *rules = plan_rules(section.lower_names, writers, skipped.clone(), Some(PLANS_EVERY_MS));
    }
    let told = section.grpc_address.as_deref().unwrap_or(GRPC_DEFAULT);
    let rules = (plan_rules(section.lower_names, PlanWriters::Node, skipped, None), shape.on_failure);
    let asking = (told, section.ask_every.ms());
    let asked = program(scene).ok().and_then(|program| {
        with_node(scene, &program, &arguments, |node, node_home| asked(scene.disk, node_home, node, asking, rules))
    });
    shape.scouts.extend(asked);
    if scene.file.probe.height.is_none() {
        let grpc = program(scene).ok().and_then(|program| {
            with_node(scene, &program, &arguments, |node, node_home| own_grpc_of(scene.disk, node_home, node))
        });
        shape.probes.height.extend(grpc.map(height_question));
    }
    tell_halts(scene, shape, &arguments);
    let is_own = scene.file.upgrade.migrate.as_ref().is_some_and(|migrate| migrate.program.is_some());
    if let Some(migrate) = shape.migrate.as_mut().filter(|_| !is_own) {
        migrate.codes = pre_upgrade_codes(section.pre_upgrade_retries);
        let has_own_arguments = scene.file.upgrade.migrate.as_ref().is_some_and(|own| !own.args.is_empty());
        migrate.question = (!has_own_arguments).then(pre_upgrade_question);
    }
}

/// Has main told where to halt, if it can be: it runs as we do, and is what each release has in its folder.
fn tell_halts(scene: &Scene<'_>, shape: &mut NodeShape, arguments: &[String]) {
    let Some(main) = shape.units.get_mut(&UnitName::main()) else { return };
    let is_ours = main.launch.program.names_release() && main.launch.user.is_none() && main.launch.group.is_none();
    let Some(program) = program(scene).ok().filter(|_| is_ours) else { return };
    let exact = with_node(scene, &program, arguments, |node, node_home| exact_halt(scene.disk, node_home, node));
    shape.engine.halts_when_told = exact.is_some();
    main.launch.added = exact.unwrap_or_default();
}

fn section<'a>(scene: &Scene<'a>) -> std::borrow::Cow<'a, Cosmos> {
    scene.file.cosmos.as_ref().map_or_else(|| std::borrow::Cow::Owned(Cosmos::default()), std::borrow::Cow::Borrowed)
}

fn program(scene: &Scene<'_>) -> Result<String, Wrong> {
    let key = || Key::of("cosmos.program");
    let Some(program) = scene.file.cosmos.as_ref().and_then(|section| section.program.clone()) else {
        let message = "it is missing: the name of the node's program in the folder `bin` of each release, such as \
                       `\"simd\"`";
        return Err(Wrong { key: key(), message: message.to_owned() });
    };
    if program.trim().is_empty() || program.contains(['/', '{']) || [".", ".."].contains(&program.as_str()) {
        let message = format!("`{program}` is not the name of a file in the folder `bin` of each release");
        return Err(Wrong { key: key(), message });
    }
    Ok(program)
}

/// The arguments that the node will have, as they are written.
fn arguments(scene: &Scene<'_>) -> Vec<String> {
    let own = scene.file.unit.get("main").map(|main| &main.args).filter(|args| !args.is_empty());
    if let Some(own) = own {
        return own.clone();
    }
    let mut arguments = section(scene).args.clone();
    if flag_value(&arguments, "--home").is_none() {
        arguments.extend(["--home".to_owned(), "{home}".to_owned()]);
    }
    arguments
}

/// The same with the home filled in. What is no template is told elsewhere.
fn filled(scene: &Scene<'_>, arguments: &[String]) -> Vec<String> {
    let home = scene.home.to_string_lossy();
    let places = Places { home: &home, data: None, unit: Some("main"), release: true };
    let fill = |text: &String| {
        Template::parse(text, &places).map_or_else(|_| text.clone(), |template| template.fill(Path::new("")))
    };
    arguments.iter().map(fill).collect()
}

/// The node's own home, as a path in the file is written.
fn home_text(arguments: &[String]) -> String {
    match flag_value(arguments, "--home") {
        None => "{home}".to_owned(),
        Some(home) if home.starts_with(['/', '{']) => home.to_owned(),
        Some(relative) => format!("{{home}}/{relative}"),
    }
}

fn remove(table: &mut Table, section: &[&str]) {
    match section {
        [] => {}
        [last] => drop(table.remove(*last)),
        [first, rest @ ..] => {
            if let Some(Value::Table(below)) = table.get_mut(*first) {
                remove(below, rest);
            }
        }
    }
}

/// Puts what is known in the place of its marks.
fn fill(value: &mut Value, known: &[(&str, Option<String>)], arguments: &[String]) {
    match value {
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| fill(value, known, arguments)),
        Value::Array(list) if list.first().and_then(Value::as_str) == Some("<args>") => {
            *list = arguments.iter().cloned().map(Value::String).collect();
        }
        Value::Array(list) => list.iter_mut().for_each(|value| fill(value, known, arguments)),
        Value::String(text) => {
            for (mark, value) in known {
                if let Some(value) = value.as_ref().filter(|_| text.contains(mark)) {
                    *text = text.replace(mark, value);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
