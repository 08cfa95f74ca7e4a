//! The node as a whole.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use ov_release::fetch::{Catalog, Limits, Naming, Patience, Policy, Signer, Silence};
use ov_types::{EngineSettings, KeepMethod, Lifetime, StallPolicy, UnitName, UpgradeRules};

use super::Builder;
use crate::generic::file::{
    Fetch, File, GitHub, PlanFile, Schedule, StallAction, Unit, Validator, VersionMap, Webhook,
};
use crate::generic::problem::Key;
use crate::plans::{PlanRules, PlanWriters};
use crate::reload::Written;
use crate::secret::Secret;
use crate::shape;
use crate::shape::{
    CatalogShape, FetchShape, HomeLayout, Hook, HookArg, HookCodes, KeepShape, NodeProbes, NodeShape, ProveShape,
    Retention, Scout, SignerShape, UnitShape,
};

impl Builder<'_, '_> {
    pub(super) fn node(&mut self, file: &File, layout: HomeLayout) -> NodeShape {
        // The document was checked: a name that is none was told already.
        let named = file.unit.iter().filter_map(|(name, unit)| Some((UnitName::new(name.as_str()).ok()?, unit)));
        let units: BTreeMap<UnitName, &Unit> = named.collect();
        if !units.contains_key(&UnitName::main()) {
            self.document.tell(&Key::of("unit.main"), "this section is missing: it says which program the node is");
        }
        let shapes: BTreeMap<UnitName, UnitShape> =
            units.iter().map(|(name, unit)| (name.clone(), self.unit(name, unit))).collect();
        self.check_order(&units, file);
        self.check_logs(&shapes, &layout);
        let probes = self.node_probes(&file.probe);
        let scouts = self.scouts(file);
        let engine = self.engine(file, &units, &probes, !scouts.is_empty());
        let home_name = layout.home.file_name().map(|name| name.to_string_lossy().into_owned());
        NodeShape {
            name: file.name.clone().or(home_name).unwrap_or_else(|| "node".to_owned()),
            chain: file.chain.clone(),
            units: shapes,
            engine,
            probes,
            height_at_rest: None,
            scouts,
            applied_copy: None,
            on_failure: file.upgrade.on_failure,
            keep: self.keep(file, &layout),
            before_switch: self.before_switch(file),
            migrate: self.migrate(file),
            release_check: None,
            prove: self.prove(file),
            signer: file.validator.as_ref().map(|validator| self.signer(validator)),
            remote_signer: None,
            webhooks: file.webhook.iter().enumerate().map(|(index, hook)| self.webhook(index, hook)).collect(),
            metrics_listen: file.metrics.listen,
            snapshots: Retention {
                keep_last: file.snapshots.keep_last,
                keep_for_ms: file.snapshots.keep_for.map(ov_types::Span::ms),
                max_bytes: file.snapshots.max_bytes.map(|size| size.0),
            },
            fetch: self.fetch(&file.fetch),
            releases_keep_last: file.releases.keep_last,
            written: Written::of(file),
            layout,
        }
    }

    fn engine(
        &mut self,
        file: &File,
        units: &BTreeMap<UnitName, &Unit>,
        probes: &NodeProbes,
        has_scouts: bool,
    ) -> EngineSettings {
        let upgrade = &file.upgrade;
        if upgrade.retry_first > upgrade.retry_max {
            let message = format!("the first pause may not be longer than the longest, {}", upgrade.retry_max);
            self.document.tell(&Key::of("upgrade.retry-first"), message);
        }
        let is_signer = |name: &UnitName| name.is_main() && file.validator.is_some();
        EngineSettings {
            units: units.iter().map(|(name, unit)| (name.clone(), self.rules(name, unit, is_signer(name)))).collect(),
            upgrade: UpgradeRules {
                keep: upgrade.keep.method != KeepMethod::Off,
                migrate: upgrade.migrate.is_some(),
                relaunch: true,
                stop_delay_ms: upgrade.stop_delay.ms(),
                stop_within_ms: upgrade.stop_within.ms(),
                rest_ms: upgrade.rest.ms(),
                start_within_ms: upgrade.start_within.ms(),
                prove_exits_max: upgrade.prove.exits,
                retry_first_ms: upgrade.retry_first.ms(),
                retry_max_ms: upgrade.retry_max.ms(),
            },
            stall: self.stall(file, probes),
            has_scouts,
            near_ms: upgrade.near.iter().map(|near| near.ms()).collect(),
            halts_when_told: false,
            lifetime: Lifetime::Standing,
            seed: seed(&self.home_text),
        }
    }

    fn stall(&mut self, file: &File, probes: &NodeProbes) -> Option<StallPolicy> {
        let key = Key::of("progress");
        let restart = match file.progress.policy {
            StallAction::Off => return None,
            StallAction::Alert => false,
            StallAction::Restart => true,
        };
        if probes.height.is_empty() {
            if self.document.has(&key) {
                self.document.tell(&key, "without `[probe.height]` nobody knows whether the node moves");
            }
            return None;
        }
        Some(StallPolicy { within_ms: file.progress.stall.ms(), restart })
    }

    fn scouts(&mut self, file: &File) -> Vec<Scout> {
        let plan_file = file.scout.plan_file.as_ref().map(|plan_file| self.plan_file(plan_file));
        let schedule = file.scout.schedule.as_ref().map(|schedule| self.schedule(schedule, file));
        let version_map = file.scout.version_map.as_ref().map(|version_map| self.version_map(version_map, file));
        plan_file.into_iter().chain(schedule).chain(version_map).collect()
    }

    fn plan_file(&mut self, plan_file: &PlanFile) -> Scout {
        let path = self.scout_path("plan-file", plan_file.path.as_deref());
        Scout::PlanFile { path, on_failure: plan_file.on_failure, rules: PlanRules::default() }
    }

    fn schedule(&mut self, schedule: &Schedule, file: &File) -> Scout {
        let path = self.scout_path("schedule", schedule.path.as_deref());
        let on_failure = schedule.on_failure.unwrap_or(file.upgrade.on_failure);
        Scout::PlanFile { path, on_failure, rules: PlanRules { writers: PlanWriters::People, ..PlanRules::default() } }
    }

    fn version_map(&mut self, map: &VersionMap, file: &File) -> Scout {
        let path = self.scout_path("version-map", map.path.as_deref());
        let on_failure = map.on_failure.unwrap_or(file.upgrade.on_failure);
        let writers = PlanWriters::Registry { ahead: map.ahead as usize };
        Scout::PlanFile { path, on_failure, rules: PlanRules { writers, ..PlanRules::default() } }
    }

    fn scout_path(&mut self, section: &str, path: Option<&str>) -> PathBuf {
        let key = Key::of("scout").name(section).name("path");
        if path.is_none() {
            self.document.tell(&key, "the path of the file is missing");
        }
        path.map_or_else(PathBuf::new, |path| self.path(&key, path, None))
    }

    fn keep(&mut self, file: &File, layout: &HomeLayout) -> KeepShape {
        let keep = &file.upgrade.keep;
        let format_file = keep.format_file.as_ref().map(|path| {
            let path = if path.starts_with('{') { path.clone() } else { layout.data.join(path).display().to_string() };
            self.path(&Key::of("upgrade.keep.format-file"), &path, None)
        });
        if keep.method == KeepMethod::HardLink && keep.write_once.is_empty() {
            let message = "`hard-link` needs it: which files does the node never change once they are written?";
            self.document.tell(&Key::of("upgrade.keep.write-once"), message);
        }
        let (write_once, exclude) = (keep.write_once.clone(), keep.exclude.clone());
        KeepShape { method: keep.method, write_once, exclude, outside: None, format_file }
    }

    fn before_switch(&mut self, file: &File) -> Option<Hook> {
        let key = Key::of("upgrade.before-switch");
        let before_switch = file.upgrade.before_switch.as_ref()?;
        Some(Hook {
            program: self.program(&key.name("program"), before_switch.program.as_deref(), None),
            args: vec![HookArg::PlanName, HookArg::PlanHeight],
            timeout_ms: before_switch.timeout.ms(),
            make_executable: true,
            codes: HookCodes::default(),
            question: None,
        })
    }

    fn migrate(&mut self, file: &File) -> Option<Hook> {
        let key = Key::of("upgrade.migrate");
        let migrate = file.upgrade.migrate.as_ref()?;
        Some(Hook {
            program: self.program(&key.name("program"), migrate.program.as_deref(), None),
            args: self.templates(&key.name("args"), &migrate.args, None).into_iter().map(HookArg::Text).collect(),
            timeout_ms: migrate.timeout.ms(),
            make_executable: false,
            codes: HookCodes::default(),
            question: None,
        })
    }

    fn prove(&mut self, file: &File) -> ProveShape {
        let prove = &file.upgrade.prove;
        if prove.soak >= prove.within {
            let message = format!("{} leaves no time for a soak of {}", prove.within, prove.soak);
            self.document.tell(&Key::of("upgrade.prove.within"), message);
        }
        ProveShape { soak_ms: prove.soak.ms(), within_ms: prove.within.ms() }
    }

    fn signer(&mut self, validator: &Validator) -> SignerShape {
        let key = Key::of("validator");
        if validator.key.is_none() && validator.sign_state.is_none() {
            self.document.tell(&key, "at least one of `key` and `sign-state` is needed");
        }
        SignerShape {
            key: validator.key.as_ref().map(|path| self.path(&key.name("key"), path, None)),
            identity: None,
            sign_state: validator.sign_state.as_ref().map(|path| self.path(&key.name("sign-state"), path, None)),
            silent_blocks: None,
            is_declared: true,
        }
    }

    fn webhook(&mut self, index: usize, hook: &Webhook) -> shape::Webhook {
        let key = Key::of("webhook").index(index);
        let choices =
            [("url", hook.url.is_some()), ("url-file", hook.url_file.is_some()), ("url-env", hook.url_env.is_some())];
        self.exactly_one(&key, &choices);
        if hook.secret_file.is_some() && hook.secret_env.is_some() {
            self.document.tell(&key, "`secret-file` and `secret-env` exclude each other: give at most one");
        }
        let file = self.secret(&key.name("url-file"), hook.url_file.as_deref(), None);
        let elsewhere = file.or(hook.url_env.clone().map(Secret::Variable));
        shape::Webhook {
            name: hook.name.clone().unwrap_or_else(|| format!("webhook {}", index + 1)),
            url: hook.url.clone().map(Secret::Text).or(elsewhere).unwrap_or(Secret::Text(String::new())),
            events: hook.events.clone(),
            headers_file: hook.headers_file.as_ref().map(|path| self.path(&key.name("headers-file"), path, None)),
            secret: self.secret(&key.name("secret-file"), hook.secret_file.as_deref(), hook.secret_env.as_deref()),
            timeout_ms: hook.timeout.ms(),
            attempts: hook.attempts,
        }
    }

    fn fetch(&mut self, fetch: &Fetch) -> FetchShape {
        let mut signers = Vec::new();
        for (index, key) in fetch.signers.iter().enumerate() {
            let is_armoured = key.trim_start().starts_with("-----BEGIN");
            match if is_armoured { Signer::openpgp(key) } else { Signer::minisign(key) } {
                Ok(signer) => signers.push(signer),
                Err(error) => self.document.tell(&Key::of("fetch.signers").index(index), format!("cannot {error}")),
            }
        }
        let policy = Policy { must_have_checksum: fetch.must_have_checksum, signers };
        let by_default = FetchShape::default();
        FetchShape {
            by_plan: fetch.by_plan,
            policy,
            mirrors: fetch.mirrors.clone(),
            limits: Limits {
                download_bytes_max: fetch.download_max.0,
                unpacked_bytes_max: fetch.unpacked_max.0,
                ..by_default.limits
            },
            patience: Patience { tries: fetch.tries, total: fetch.timeout, ..by_default.patience },
            silence: Silence { stall: fetch.stall, ..by_default.silence },
            catalog: fetch.github.as_ref().map(|github| self.github(github)),
            additions: Vec::new(),
        }
    }

    fn github(&mut self, github: &GitHub) -> CatalogShape {
        let key = Key::of("fetch.github");
        for (name, text, example) in [
            ("owner", &github.owner, "cosmos"),
            ("repository", &github.repository, "gaia"),
            ("asset", &github.asset, "gaiad-{release}-{os}-{arch}"),
        ] {
            if text.trim().is_empty() {
                self.document.tell(&key.name(name), format!("this is missing: say which, such as `\"{example}\"`"));
            }
        }
        let inside = github.program.clone();
        let leads_out = |path: &String| !Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if inside.as_ref().is_some_and(|path| path.is_empty() || leads_out(path)) {
            self.document.tell(
                &key.name("program"),
                "this is no path in an archive: it may not begin with `/`, nor lead upwards",
            );
        }
        let token = self.secret(&key.name("token-file"), github.token_file.as_deref(), Some(&github.token_env));
        let place = Catalog::GitHub(ov_release::fetch::GitHub {
            api: github.api.clone(),
            owner: github.owner.clone(),
            repository: github.repository.clone(),
            tag: self.naming(&key.name("tag"), &github.tag),
            asset: self.naming(&key.name("asset"), &github.asset),
        });
        CatalogShape { place, token, inside, program: None }
    }

    fn naming(&mut self, key: &Key, text: &str) -> Naming {
        Naming::parse(text).unwrap_or_else(|error| {
            self.document.tell(key, error.to_string());
            Naming::release()
        })
    }

    fn secret(&mut self, key: &Key, file: Option<&str>, variable: Option<&str>) -> Option<Secret> {
        match file {
            Some(file) => Some(Secret::File(self.path(key, file, None))),
            None => variable.map(|name| Secret::Variable(name.to_owned())),
        }
    }
}

/// A number that differs from node to node, also where many hosts have the same home (FNV-1a).
fn seed(home: &str) -> u64 {
    let host = ov_sys::host::host_facts().host_name;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    host.bytes().chain([0]).chain(home.bytes()).fold(0xcbf2_9ce4_8422_2325, step)
}
