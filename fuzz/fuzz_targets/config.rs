//! Any bytes as `omnivisor.toml`: a shape that is whole, or problems that each name a line that is there. The same
//! bytes as a file of variables.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(variables) = ov_chains::read_variables(bytes) {
        assert!(variables.iter().all(|(name, value)| !name.is_empty() && !name.contains('=') && !value.contains('\0')));
    }
    match ov_chains::read(&ov_sys::RealDisk, bytes, Path::new("/home/node"), Path::new("/home/node/omnivisor.toml")) {
        Ok(shape) => {
            assert!(shape.units.contains_key(&ov_types::UnitName::main()));
            assert!(shape.units.keys().eq(shape.engine.units.keys()));
            assert!(ov_chains::diff(&shape, &shape).is_empty());
        }
        Err(problems) => {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)));
        }
    }
});
