//! Calls that the proxy's compiler leaves as they are.
//!
//! Envoy has V8 compile a module by its optimizing compiler alone, without the one before it that would find out what is called
//! often. Then V8 puts the code of what is called in the place of each call that it comes to, until twice the size of the
//! function that calls is used up. That makes more than two modules out of one, and all of it is compiled before the proxy is
//! ready. A call through a table is left as it is; it takes a nanosecond more.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use rustc_demangle::demangle;
use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, Instruction, Module, TableSection, TableType,
    reencode::{self, Reencode, utils},
};
use wasmparser::{
    CustomSectionReader, ElementSectionReader, FunctionBody, KnownCustom, Name, NameSectionReader,
    Operator, Parser, Payload, TableSectionReader, TypeRef,
};

/// A function of fewer bytes is called as before: in the place of a call it is hardly longer than that.
const SMALLEST: usize = 30;

/// What has this in its name is called as before: a check of a signature calls it a thousand times, and little else does.
const CALLED_OFTEN: &str = "::field::Element";

/// The table of the module. The linker makes it, with a place for each function whose address is taken, and it never grows.
const TABLE: u32 = 0;

/// A module that does the same, without the names of functions, and with each call of a function that it defines made through
/// its table, but for those that are small or called often.
///
/// # Errors
/// When the bytes are no module, or one without a table or without the names of its functions.
pub(crate) fn through_table(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut calls = Calls::of(module)?;
    let mut rewritten = Module::new();
    calls.parse_core_module(&mut rewritten, Parser::new(0), module)?;
    Ok(rewritten.finish())
}

type Result<T = ()> = std::result::Result<T, reencode::Error>;

/// The calls that are made through the table.
struct Calls {
    /// What is called, by its number.
    callees: BTreeMap<u32, Callee>,
    /// The size of the table before.
    places: u32,
}

struct Callee {
    /// The number of its type.
    type_index: u32,
    /// Its place in the table.
    place: u32,
}

impl Calls {
    /// Finds what is called, and gives it places behind those that the table has.
    fn of(module: &[u8]) -> anyhow::Result<Self> {
        let mut imported = 0;
        let mut types = Vec::new();
        let mut table = None;
        let mut sizes = Vec::new();
        let mut called = BTreeSet::new();
        let mut called_often = BTreeSet::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    types = section.into_iter().collect::<std::result::Result<_, _>>()?;
                }
                Payload::TableSection(section) => {
                    table = section.into_iter().next().transpose()?;
                }
                Payload::CodeSectionEntry(body) => {
                    sizes.push(body.range().len());
                    let mut operators = body.get_operators_reader()?;
                    while !operators.eof() {
                        if let Operator::Call { function_index } = operators.read()? {
                            called.insert(function_index);
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(names) = section.as_known() {
                        called_often = find_called_often(names)?;
                    }
                }
                _ => {}
            }
        }
        let table = table.context("there is no table of functions")?;
        let places = u32::try_from(table.ty.initial)?;
        ensure!(
            !called_often.is_empty(),
            "there is no function with `{CALLED_OFTEN}` in its name"
        );
        let callees = (imported..)
            .zip(types.into_iter().zip(sizes))
            .filter(|(index, (_, size))| {
                *size >= SMALLEST && called.contains(index) && !called_often.contains(index)
            })
            .zip(places..)
            .map(|((index, (type_index, _)), place)| (index, Callee { type_index, place }))
            .collect();
        Ok(Self { callees, places })
    }
}

/// The functions that are called often.
fn find_called_often(names: NameSectionReader<'_>) -> anyhow::Result<BTreeSet<u32>> {
    let mut found = BTreeSet::new();
    for subsection in names {
        if let Name::Function(functions) = subsection? {
            for function in functions {
                let function = function?;
                if demangle(function.name).to_string().contains(CALLED_OFTEN) {
                    found.insert(function.index);
                }
            }
        }
    }
    Ok(found)
}

impl Reencode for Calls {
    type Error = std::convert::Infallible;

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Result {
        match section.as_known() {
            KnownCustom::Name(_) => Ok(()),
            _ => utils::parse_custom_section(self, module, section),
        }
    }

    fn parse_table_section(
        &mut self,
        tables: &mut TableSection,
        section: TableSectionReader<'_>,
    ) -> Result {
        for (index, table) in (0..).zip(section) {
            let mut ty = self.table_type(table?.ty)?;
            if index == TABLE {
                let size = ty.minimum.saturating_add(self.callees.len() as u64);
                // Of a size that never changes, so that no call has to look it up.
                ty = TableType {
                    minimum: size,
                    maximum: Some(size),
                    ..ty
                };
            }
            tables.table(ty);
        }
        Ok(())
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: ElementSectionReader<'_>,
    ) -> Result {
        utils::parse_element_section(self, elements, section)?;
        let functions: Vec<u32> = self.callees.keys().copied().collect();
        let start = ConstExpr::i32_const(self.places.cast_signed());
        elements.active(None, &start, Elements::Functions(functions.into()));
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: FunctionBody<'_>) -> Result {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            let callee = match operator {
                Operator::Call { function_index } => self.callees.get(&function_index),
                _ => None,
            };
            match callee {
                Some(Callee { type_index, place }) => {
                    function
                        .instruction(&Instruction::I32Const(place.cast_signed()))
                        .instruction(&Instruction::CallIndirect {
                            type_index: *type_index,
                            table_index: TABLE,
                        });
                }
                None => {
                    function.instruction(&self.instruction(operator)?);
                }
            }
        }
        code.function(&function);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, ConstExpr, ElementSection, Elements, EntityType, Function, FunctionSection,
        ImportSection, Instruction, Module, NameMap, NameSection, RefType, TableSection, TableType,
        TypeSection, ValType,
    };
    use wasmparser::{ElementItems, Operator, Parser, Payload, TypeRef, Validator, WasmFeatures};

    use super::{SMALLEST, through_table};

    const TIMES: &str = "_ZN12nexus_crypto2ec4p2565field7Element5times17h1b64bf1a3129badfE";

    /// A function that calls these, of so many bytes.
    fn body(calls: &[u32], size: usize) -> Function {
        let mut function = Function::new([]);
        for call in calls {
            function.instruction(&Instruction::I32Const(7));
            function.instruction(&Instruction::Call(*call));
        }
        // Besides there is the end.
        while function.byte_len() + 1 < size {
            function.instruction(&Instruction::Nop);
        }
        function.instruction(&Instruction::End);
        function
    }

    /// Imports function 0; functions 1 to 4 are what `bodies` has, 3 stands in the table, and 4 has this name. All take a number.
    fn module(bodies: [Function; 4], name: &str) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        types.ty().function([ValType::I32], []);
        let mut imports = ImportSection::new();
        imports.import("env", "proxy_log", EntityType::Function(1));
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for body in &bodies {
            functions.function(1);
            code.function(body);
        }
        let mut tables = TableSection::new();
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            table64: false,
            minimum: 2,
            maximum: Some(2),
            shared: false,
        });
        let mut elements = ElementSection::new();
        let third = Elements::Functions([3].as_slice().into());
        elements.active(None, &ConstExpr::i32_const(1), third);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&tables).section(&elements).section(&code);
        let mut names = NameMap::new();
        names.append(4, name);
        let mut section = NameSection::new();
        section.functions(&names);
        module.section(&section);
        module.finish()
    }

    /// What each function calls, and whether through the table.
    fn calls(module: &[u8]) -> Vec<Vec<(u32, bool)>> {
        Validator::new_with_features(WasmFeatures::WASM2)
            .validate_all(module)
            .unwrap();
        let mut types = Vec::new();
        let mut table = Vec::new();
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import.unwrap().ty {
                            TypeRef::Func(type_index) => types.push(type_index),
                            other => panic!("{other:?} is imported"),
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    types.extend(section.into_iter().map(Result::unwrap))
                }
                Payload::TableSection(section) => {
                    let size = section.into_iter().next().unwrap().unwrap().ty;
                    assert_eq!(size.maximum, Some(size.initial));
                    table.resize(usize::try_from(size.initial).unwrap(), None);
                }
                Payload::ElementSection(section) => {
                    for element in section {
                        let element = element.unwrap();
                        let wasmparser::ElementKind::Active { offset_expr, .. } = element.kind
                        else {
                            panic!("an element that is not active");
                        };
                        let Operator::I32Const { value } =
                            offset_expr.get_operators_reader().read().unwrap()
                        else {
                            panic!("an offset that is no constant");
                        };
                        let ElementItems::Functions(functions) = element.items else {
                            panic!("an element of expressions");
                        };
                        for (place, function) in (usize::try_from(value).unwrap()..).zip(functions)
                        {
                            assert_eq!(table[place].replace(function.unwrap()), None);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    let mut reader = body.get_operators_reader().unwrap();
                    let mut calls = Vec::new();
                    let mut constant = None;
                    while !reader.eof() {
                        match reader.read().unwrap() {
                            Operator::I32Const { value } => constant = Some(value),
                            Operator::Call { function_index } => {
                                calls.push((function_index, false))
                            }
                            Operator::CallIndirect { type_index, .. } => {
                                let place = usize::try_from(constant.unwrap()).unwrap();
                                let function = table[place].unwrap();
                                assert_eq!(types[function as usize], type_index);
                                calls.push((function, true));
                            }
                            _ => {}
                        }
                    }
                    found.push(calls);
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn calls_go_through_the_table_but_for_small_functions_those_called_often_and_the_proxys() {
        let before = module(
            [
                body(&[0, 1, 2, 3, 3, 4], 100),
                body(&[], SMALLEST - 1),
                body(&[2], SMALLEST),
                body(&[], 100),
            ],
            TIMES,
        );
        let with = |through| {
            [
                vec![
                    (0, false),
                    (1, through),
                    (2, false),
                    (3, through),
                    (3, through),
                    (4, false),
                ],
                vec![],
                vec![(2, false)],
                vec![],
            ]
        };
        assert_eq!(calls(&before), with(false));
        assert_eq!(calls(&through_table(&before).unwrap()), with(true));
    }

    #[test]
    fn names_of_functions_are_taken_out() {
        let before = module([(); 4].map(|()| body(&[3], 50)), TIMES);
        let named = |module: &[u8]| module.windows(7).any(|part| part == b"Element");
        assert!(named(&before));
        assert!(!named(&through_table(&before).unwrap()));
    }

    #[test]
    fn what_cannot_be_rewritten_is_refused() {
        let refusal = |module: &[u8]| through_table(module).unwrap_err().to_string();
        assert_eq!(
            refusal(&Module::new().finish()),
            "there is no table of functions"
        );
        let bodies = || [(); 4].map(|()| body(&[3], 50));
        assert_eq!(
            refusal(&module(bodies(), "main")),
            "there is no function with `::field::Element` in its name"
        );
        let whole = module(bodies(), TIMES);
        for length in [0, 7, whole.len() - 10] {
            through_table(&whole[..length]).unwrap_err();
        }
    }
}
