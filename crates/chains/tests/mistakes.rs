//! What an operator sees for each mistake in `omnivisor.toml`: the line, the key, what is wrong and what is allowed.

use std::path::Path;

use ov_chains::ConfigError;
use proptest::prelude::*;

const MAIN: &str = "[unit.main]\nprogram = \"x\"\n";

/// What is said about a file, one line each.
fn said(text: &str) -> Vec<String> {
    match ov_chains::read(
        &ov_sys::RealDisk,
        text.as_bytes(),
        Path::new("/home/node"),
        Path::new("/home/node/omnivisor.toml"),
    ) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| format!("{}: {problem}", problem.line)).collect(),
    }
}

/// Says that each file, after the main unit of two lines, is answered with exactly this.
fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(said(&format!("{MAIN}{text}")), [*expected], "{text}");
    }
}

#[test]
fn unknown_keys_and_words() {
    check(&[
        ("progam = \"x\"", "3: unit.main.progam: unknown key; did you mean `program`?"),
        ("[unit.main.stop]\ngraze = \"1s\"", "4: unit.main.stop.graze: unknown key; did you mean `grace`?"),
        ("[metrics]\nport = 1", "4: metrics.port: unknown key; known here are `listen`"),
        ("[unit.main.log]\nmax_size = \"1\"", "4: unit.main.log.max_size: unknown key; did you mean `max-size`?"),
        (
            "restart = \"alwasy\"",
            "3: unit.main.restart: `alwasy` is not known; did you mean `always`? Known are `always`, `on-failure`, \
             `never`",
        ),
        ("stdin = \"tty\"", "3: unit.main.stdin: `tty` is not known; known are `null`, `inherit`"),
        (
            "[upgrade.keep]\nmethod = \"zfs\"",
            "4: upgrade.keep.method: `zfs` is not known; known are `auto`, `reflink`, \
             `hard-link`, `copy`, `off`",
        ),
    ]);
    assert_eq!(
        said(&format!("chain = \"casper\"\n{MAIN}")),
        ["1: chain: `casper` is not known; known are `generic`, `cosmos`"]
    );
}

#[test]
fn values_of_the_wrong_kind_or_form() {
    check(&[
        ("args = \"start\"", "3: unit.main.args: this is a text in quotes, but a list is expected here"),
        ("args = [1]", "3: unit.main.args[0]: this is a whole number, but a text in quotes is expected here"),
        ("stop = \"90s\"", "3: unit.main.stop: this is a text in quotes, but a table is expected here"),
        (
            "inherit-env = \"no\"",
            "3: unit.main.inherit-env: this is a text in quotes, but `true` or `false` is \
             expected here",
        ),
        ("stop.grace = 90", "3: unit.main.stop.grace: this is a whole number, but a text in quotes is expected here"),
        (
            "stop.grace = \"90\"",
            "3: unit.main.stop.grace: `90` is not a length of time such as `250ms`, `90s`, `1m30s` or `2h`",
        ),
        (
            "ready.every = \"0s\"\nready.notify = true",
            "3: unit.main.ready.every: `0s` is too short: it must be longer than nothing",
        ),
        ("log.max-size = \"big\"", "3: unit.main.log.max-size: `big` is not a size such as `64MiB` or `2GB`"),
        (
            "stop.signal = \"STOP\"",
            "3: unit.main.stop.signal: `STOP` is not a signal that can be used; known are `TERM` (15), `INT` (2), \
             `HUP` (1), `QUIT` (3), `USR1` (10), `USR2` (12), `KILL` (9)",
        ),
        ("umask = \"9\"", "3: unit.main.umask: `9` is not a mask of three octal digits such as `0027`"),
        (
            "limits.nofile = \"9:1\"",
            "3: unit.main.limits.nofile: `9:1` is not a limit such as `65536`, `1024:65536` or `unlimited`, soft \
             before hard",
        ),
        ("nice = 20", "3: unit.main.nice: this number is out of range: it must be from -20 to 19"),
        (
            "never-restart = [256]",
            "3: unit.main.never-restart[0]: this number is out of range: it must be from 0 to 255",
        ),
        (
            "crash-loop.count = 0",
            "3: unit.main.crash-loop.count: this number is out of range: it must be from 1 to 10000",
        ),
        ("args = [\"a\\u0000\"]", "3: unit.main.args[0]: a text may not contain the character NUL"),
        (
            "env = { \"A=B\" = \"\" }",
            "3: unit.main.env.\"A=B\": `A=B` is not the name of a variable: it may not be \
             empty or contain `=`",
        ),
        (
            "[unit.\"a b\"]\nprogram = \"x\"",
            "3: unit.\"a b\": `a b` is not a unit name: only letters, digits and \
             `. _ - +` are allowed",
        ),
        (
            "[metrics]\nlisten = \"9300\"",
            "4: metrics.listen: `9300` is not an IP address with a port such as \
             `127.0.0.1:9300`",
        ),
    ]);
}

#[test]
fn units() {
    assert_eq!(said(""), ["1: unit.main: this section is missing: it says which program the node is"]);
    assert_eq!(
        said("[unit.main]\nargs = []"),
        ["1: unit.main.program: the program is missing: say which file to run, such as `\"current/bin/node\"`"]
    );
    check(&[
        (
            "args = [\"{hoem}\"]",
            "3: unit.main.args[0]: unknown placeholder `{hoem}` at character 1; here `{home}`, \
             `{data}`, `{unit}`, `{release}` can be used",
        ),
        (
            "suspend-file = \"{release}/x\"",
            "3: unit.main.suspend-file: unknown placeholder `{release}` at character 1; \
             here `{home}`, `{data}`, `{unit}` can be used",
        ),
        ("after.main = \"up\"", "3: unit.main.after.main: a unit cannot wait for itself"),
        (
            "after.databse = \"up\"\n[unit.database]\nprogram = \"x\"",
            "3: unit.main.after.databse: there is no unit \
             `databse`; did you mean `database`?",
        ),
        (
            "after.a = \"up\"\n[unit.a]\nprogram = \"x\"\nwith.main = \"up\"",
            "4: unit.a: this can never start: it waits \
             for `main`, which waits for `a`",
        ),
        (
            "after.a = \"up\"\nwith.a = \"up\"\n[unit.a]\nprogram = \"x\"",
            "4: unit.main.with.a: `with` includes \
             `after`: name the unit in one of them",
        ),
        (
            "back-off.first = \"2m\"",
            "3: unit.main.back-off.first: the first wait may not be longer than the longest, 1m",
        ),
        ("user = \"a:b\"", "3: unit.main.user: `a:b` is not the name or number of a user or group"),
        ("output = \"inherit\"\nlog.keep = 1", "4: unit.main.log: with `output = \"inherit\"` there is no log file"),
        ("log.rotate = \"1500ms\"", "3: unit.main.log.rotate: this must be a whole number of seconds"),
        (
            "log.path = \"{data}/x.log\"",
            "3: unit.main.log.path: a log may not lie in /home/node/data: what is there is \
             replaced as a whole",
        ),
        (
            "log.path = \"x.log\"\n[unit.a]\nprogram = \"x\"\nlog.path = \"./x.log\"",
            "3: unit.main.log.path: unit `a` \
             already writes to /home/node/x.log",
        ),
        ("together = \"pair\"", "3: unit.main.together: no other unit says `pair`"),
        (
            "together = \"pair\"\n[unit.a]\nprogram = \"x\"\ntogether = \"pairs\"\n[unit.b]\nprogram = \"x\"\ntogether = \"pairs\"",
            "3: unit.main.together: no other unit says `pair`; did you mean `pairs`?",
        ),
        (
            "together = \"a pair\"",
            "3: unit.main.together: `a pair` is not a group name: only letters, digits and `. _ - +` are allowed",
        ),
        ("env-file = [\"\"]", "3: unit.main.env-file[0]: this path is empty"),
    ]);
}

#[test]
fn probes() {
    check(&[
        (
            "[unit.main.ready]",
            "3: unit.main.ready: exactly one of `process`, `tcp`, `http`, `program`, `log-line` and \
             `notify` is needed",
        ),
        (
            "[unit.main.health]\ntcp = \"a:1\"\nhttp = \"http://a\"",
            "3: unit.main.health: `tcp` and `http` exclude each \
             other: give exactly one",
        ),
        (
            "[unit.main.health]\nlog-line = \"x\"\ntcp = \"a:1\"",
            "4: unit.main.health.log-line: unknown key; known here are \
             `tcp`, `http`, `status`, `pointer`, `is`, `is-not`, `at-least`, `at-most`, `program`, `args`, \
             `notify`, `every`, `timeout`, `failures`, `failures-of-relaunch`, `then`",
        ),
        (
            "output = \"inherit\"\nready.log-line = \"x\"",
            "4: unit.main.ready.log-line: the output is only seen with \
             `output = \"pump\"`",
        ),
        ("ready.log-line = \"\"", "3: unit.main.ready.log-line: this must be a part of one line, and not empty"),
        (
            "health.http = \"localhost\"",
            "3: unit.main.health.http: this is not an address such as \
             `http://127.0.0.1:26657/status`",
        ),
        (
            "health.http = \"http://u:p@a\"",
            "3: unit.main.health.http: an address that is asked may not carry a user or \
             password",
        ),
        ("health = { http = \"http://a\", is = 1 }", "3: unit.main.health.is: this means nothing without `pointer`"),
        ("health = { tcp = \"a:1\", status = [200] }", "3: unit.main.health.status: this means nothing without `http`"),
        (
            "health = { http = \"http://a\", pointer = \"/a\", is = 1, at-least = 1 }",
            "3: unit.main.health: `is` and \
             `at-least` exclude each other: give exactly one",
        ),
        (
            "health = { http = \"http://a\", pointer = \"a\" }",
            "3: unit.main.health.pointer: `a` is not a place in \
             JSON: it begins with `/`, such as `/result/height`",
        ),
        (
            "health = { http = \"http://a\", status = [\"2xx\"] }",
            "3: unit.main.health.status[0]: `2xx` is not a status \
             or a range of them such as `200-299`",
        ),
        (
            "[probe.height]\nhttp = \"http://a\"",
            "3: probe.height.pointer: `http` needs it: where does the height stand \
             in the JSON of the answer?",
        ),
        ("[probe.height]\nfile = \"h\"\nargs = [\"x\"]", "5: probe.height.args: this means nothing without `program`"),
        (
            "[probe.version]\nprogram = \"/usr/bin/x\"",
            "4: probe.version.program: this asks the same program whatever \
             the release; give a path within the release, such as `bin/node`",
        ),
        ("[progress]\nstall = \"1m\"", "3: progress: without `[probe.height]` nobody knows whether the node moves"),
    ]);
}

#[test]
fn paths_and_upgrades() {
    check(&[
        ("[paths]\ndata = \".\"", "4: paths.data: this is /home/node, which holds the home itself"),
        (
            "[paths]\nreleases = \"data/releases\"",
            "4: paths.releases: /home/node/data/releases and /home/node/data \
             (data) may not be the same or lie within each other",
        ),
        (
            "[paths]\nsnapshots = \".omnivisor/snapshots\"",
            "4: paths.snapshots: /home/node/.omnivisor/snapshots and \
             /home/node/.omnivisor (omnivisor's own folder) may not be the same or lie within each other",
        ),
        (
            "[paths]\ndata = \"../data\"",
            "4: paths.data: a path with `..` in it is not allowed here; write the path that \
             it leads to",
        ),
        (
            "[paths]\ndata = \"{data}\"",
            "4: paths.data: unknown placeholder `{data}` at character 1; here `{home}` can \
             be used",
        ),
        (
            "[upgrade]\nstop-within = \"90s\"",
            "4: upgrade.stop-within: 1m30s is too short: the units that wait for each \
             other may take 1m30s to stop, their graces added up",
        ),
        (
            "with.a = \"up\"\n[unit.a]\nprogram = \"x\"\n[upgrade]\nstop-within = \"2m\"",
            "7: upgrade.stop-within: 2m is \
             too short: the units that wait for each other may take 3m to stop, their graces added up",
        ),
        (
            "[upgrade]\nretry-first = \"1h\"",
            "4: upgrade.retry-first: the first pause may not be longer than the \
             longest, 10m",
        ),
        ("[upgrade.prove]\nsoak = \"1h\"", "3: upgrade.prove.within: 15m leaves no time for a soak of 1h"),
        (
            "[upgrade.keep]\nmethod = \"hard-link\"",
            "3: upgrade.keep.write-once: `hard-link` needs it: which files does \
             the node never change once they are written?",
        ),
        (
            "[upgrade.keep]\nexclude = [\"/x\"]",
            "4: upgrade.keep.exclude[0]: `/x` is not a pattern of names within the \
             data directory such as `*.sst` or `chain.db/*.sst`",
        ),
        (
            "[upgrade.migrate]",
            "3: upgrade.migrate.program: the program is missing: say which file to run, such as \
             `\"current/bin/node\"`",
        ),
        ("[scout.plan-file]", "3: scout.plan-file.path: the path of the file is missing"),
        ("[validator]", "3: validator: at least one of `key` and `sign-state` is needed"),
    ]);
}

#[test]
fn webhooks_and_their_secrets() {
    check(&[
        ("[[webhook]]", "3: webhook[0]: exactly one of `url`, `url-file` and `url-env` is needed"),
        (
            "[[webhook]]\nurl = \"hunter2\"",
            "4: webhook[0].url: this is not an address such as \
             `https://hooks.example/…`",
        ),
        (
            "[[webhook]]\nurl-env = \"A\"\n[[webhook]]\nurl-env = \"A\"\nurl-file = \"b\"",
            "5: webhook[1]: `url-file` and \
             `url-env` exclude each other: give exactly one",
        ),
        (
            "[[webhook]]\nurl-env = \"A\"\nsecret-env = \"A\"\nsecret-file = \"b\"",
            "3: webhook[0]: `secret-file` and \
             `secret-env` exclude each other: give at most one",
        ),
        (
            "[[webhook]]\nurl-env = \"A\"\nattempts = 0",
            "5: webhook[0].attempts: this number is out of range: it must be \
             from 1 to 100",
        ),
    ]);
    let broken = format!("{MAIN}[[webhook]]\nurl = \"https://hunter2\nevents = 1");
    assert!(!said(&broken).is_empty() && !said(&broken).concat().contains("hunter2"), "{:?}", said(&broken));
}

#[test]
fn keys_of_those_who_sign() {
    check(&[
        (
            "[fetch]\nsigners = [\"hunter2\"]",
            "4: fetch.signers[0]: cannot read the key `hunter2`: it is not a minisign public key",
        ),
        (
            "[fetch]\ndownload-max = 1",
            "4: fetch.download-max: this is a whole number, but a text in quotes is expected here",
        ),
        (
            "[fetch.github]\nowner = \"me\"\nrepository = \"node\"\nasset = \"x\"\nprogram = \"../x\"",
            "7: fetch.github.program: this is no path in an archive: it may not begin with `/`, nor lead upwards",
        ),
        ("[fetch]\ntries = 0", "4: fetch.tries: this number is out of range: it must be from 1 to 100"),
    ]);
    let github = "[fetch.github]\nowner = \"me\"\nasset = \"{vresion}\"\n";
    assert_eq!(
        said(&format!("{MAIN}{github}")),
        [
            "3: fetch.github.repository: this is missing: say which, such as `\"gaia\"`",
            "5: fetch.github.asset: unknown placeholder `{vresion}`; here `{release}`, `{version}`, `{os}` and `{arch}` can be \
             used",
        ]
    );
    let armoured = "[fetch]\nsigners = [\"-----BEGIN PGP PUBLIC KEY BLOCK-----\"]";
    assert!(said(&format!("{MAIN}{armoured}"))[0].starts_with("4: fetch.signers[0]: cannot read the key "));
}

#[test]
fn everything_is_said_at_once_and_nothing_twice() {
    let text = "nmae = \"x\"\n[unit.main]\nprogarm = \"x\"\nrestart = 5\nstop.grace = \"x\"\n[unit.a]\nafter.b = \
                \"up\"\n[[webhook]]\nurl = 5\n";
    assert_eq!(
        said(text),
        [
            "1: nmae: unknown key; did you mean `name`?",
            "3: unit.main.progarm: unknown key; did you mean `program`?",
            "4: unit.main.restart: this is a whole number, but a text in quotes is expected here",
            "5: unit.main.stop.grace: `x` is not a length of time such as `250ms`, `90s`, `1m30s` or `2h`",
            "6: unit.a.program: the program is missing: say which file to run, such as `\"current/bin/node\"`",
            "7: unit.a.after.b: there is no unit `b`; did you mean `a`?",
            "9: webhook[0].url: this is a whole number, but a text in quotes is expected here",
        ]
    );
}

#[test]
fn what_is_not_toml_or_not_text() {
    let broken = said("[unit.main]\nprogram = \n[unit.main]\n");
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken[0].starts_with("2: this is not TOML: "), "{broken:?}");
    assert!(broken[1].starts_with("3: this is not TOML: "), "{broken:?}");
    let latin =
        ov_chains::read(&ov_sys::RealDisk, b"a = 1\nb = \"\xe4\"", Path::new("/n"), Path::new("/n/omnivisor.toml"))
            .unwrap_err();
    assert_eq!((latin[0].line, latin[0].to_string().as_str()), (2, "this line is not UTF-8"));
}

#[test]
fn an_error_shows_the_file_and_the_line_and_becomes_a_problem() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("omnivisor.toml");
    let load = || ov_chains::load(&ov_sys::RealDisk, home.path(), None).unwrap_err();
    let missing = load();
    assert_eq!(missing.to_string(), format!("read the configuration {}", file.display()));
    assert!(matches!(missing, ConfigError::Unreadable { .. }));
    std::fs::write(&file, "[unit.main]\nprogarm = \"x\"\nnice = 99\n").unwrap();
    let wrong = load();
    let file = file.display();
    let expected = format!(
        "use the configuration {file}: 2 problems\n  {file}:2: unit.main.progarm: unknown key; did you mean \
             `program`?\n  {file}:3: unit.main.nice: this number is out of range: it must be from -20 to 19"
    );
    assert_eq!(wrong.to_string(), expected);
    let problem = wrong.problem();
    assert_eq!((problem.code.as_str(), problem.causes.len()), ("OV-CFG-003", 2));
    let nowhere = ov_chains::load(&ov_sys::RealDisk, Path::new("node"), None).unwrap_err();
    assert_eq!(nowhere.to_string(), "use node as a home: its path is not absolute");
}

/// Pieces that make texts which look like configurations.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("[unit.main]\n".to_owned()),
        Just("program = \"x\"\n".to_owned()),
        Just("[unit.a.ready]\n".to_owned()),
        Just("[[webhook]]\n".to_owned()),
        Just("after = { a = \"up\", main = 5 }\n".to_owned()),
        Just("args = [\"{home}\", 5, [], {}]\n".to_owned()),
        Just("[paths]\ndata = \"/\"\n".to_owned()),
        Just("[probe.height]\nhttp = \"http://a\"\n".to_owned()),
        "[a-z-]{1,12}(\\.[a-z-]{1,8})? = (\"[a-z0-9{}:/@]{0,9}\"|-?[0-9]{1,20}|true|\\[\\]|\\{\\}|1979-05-27|1e9)\n",
        "\\[{1,2}[a-z.]{1,12}\\]{1,2}\n",
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
        let _ = ov_chains::read(&ov_sys::RealDisk, &bytes, Path::new("/n"), Path::new("/n/omnivisor.toml"));
    }

    #[test]
    fn no_text_that_looks_like_a_configuration_makes_reading_panic(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        for problem in ov_chains::read(&ov_sys::RealDisk, text.as_bytes(), Path::new("/n"), Path::new("/n/o.toml")).err().iter().flatten() {
            prop_assert!(problem.line >= 1 && problem.line <= text.lines().count().max(1));
            // What the schema lets through can be read: otherwise the parser would speak, which knows no key.
            prop_assert!(!problem.key.is_empty() || problem.message.starts_with("this is not TOML"), "{}", problem);
        }
    }
}
