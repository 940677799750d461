"""Validation of a whole module (spec 3.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wattest.errors import ValidationError
from wattest.interp.decode import decode_body
from wattest.interp.features import SUPPORTED
from wattest.interp.matching import match_reftype
from wattest.interp.module import Elem, Export, Expr, FuncFacts, Module, RefFuncs, TypeUse
from wattest.interp.opcodes import BY_NAME
from wattest.interp.types import FUNC, GlobalType, MemType, RefType, TableType, TagType
from wattest.interp.validate.body import BodyValidator
from wattest.interp.validate.context import Context, Invalid, defaultable
from wattest.interp.validate.deftypes import add_rectype, globaltype, memtype, tabletype, tagtype

__all__ = ["CheckBodies", "function_facts", "validate_module"]

CheckBodies = Callable[[Module, Context], tuple[Sequence[FuncFacts], Sequence[int]]]
"""Another way to check bodies: gets a module and its index spaces, returns the facts of each
function defined in it, and the positions of those that it could not show to be valid."""

_REF_FUNC = BY_NAME["ref.func"]
_INDEX_FORM = RefType(False, FUNC)


def validate_module(
    module: Module,
    *,
    features: frozenset[str] | None = None,
    check_bodies: CheckBodies | None = None,
) -> None:
    """Check a decoded module against the typing rules (spec 3.5.13).

    Sets ``module.types`` and ``module.facts``. A malformed function body is reported before
    anything that is merely invalid.

    Args:
        module: as `wattest.interp.decode.decode_module` gives it.
        features: names (`wattest.interp.features`) of what the module may use; None for all that
            the reference executes, and what is enabled for the module.
        check_bodies: a faster way to check bodies; those that it does not accept are checked
            here, so that it decides no verdict.

    Raises:
        DecodeError: a function body is malformed.
        ValidationError: a rule is broken, an implementation limit exceeded, or a feature
            needed that is not in ``features`` ("unsupported feature: NAME: ...").
    """
    if features is None:
        features = SUPPORTED | module.enabled
    _ModuleValidator(module, features, check_bodies).run()


def function_facts(module: Module, index: int) -> FuncFacts:
    """What validation found out about a function defined in a validated module.

    Args:
        module: a module that `validate_module` has accepted.
        index: function index, imports counted.

    Raises:
        IndexError: the module defines no such function.
        ValueError: the module has not been validated.
    """
    if module.facts is None:
        raise ValueError("the module has not been validated")
    position = index - module.imported_func_count
    if position < 0:
        raise IndexError(index)
    return module.facts[position]


class _ModuleValidator:
    """One run over a module; ``_section`` and ``_offset`` say where it is."""

    def __init__(
        self, module: Module, features: frozenset[str], check_bodies: CheckBodies | None
    ) -> None:
        self._module = module
        self._check_bodies = check_bodies
        self._context = Context(features, module.enabled)
        self._section: str | None = None
        self._offset: int | None = None
        self._imported_globals: list[GlobalType] = []

    def run(self) -> None:
        error: ValidationError | None = None
        try:
            self._before_code()
        except Invalid as problem:
            error = self._located(problem)
        except ValidationError as problem:
            error = problem
        facts: Sequence[FuncFacts] = ()
        if error is None:
            facts, error = self._bodies()
        else:
            # The bodies are decoded all the same: malformed comes before invalid.
            for func in self._module.funcs:
                decode_body(self._module, func.code)
        if error is None:
            try:
                self._after_code()
            except Invalid as problem:
                error = self._located(problem)
        if error is not None:
            raise error
        self._module.types = tuple(self._context.types)
        self._module.facts = facts

    def _bodies(self) -> tuple[Sequence[FuncFacts], ValidationError | None]:
        """Facts of all functions, or the first error; raises DecodeError wherever one is."""
        module, error = self._module, None
        quick: Sequence[FuncFacts] = ()
        left: Sequence[int] = range(len(module.funcs))
        if self._check_bodies is not None:
            quick, left = self._check_bodies(module, self._context)
            if not left:
                return quick, None
        bodies = BodyValidator(self._context)
        facts: list[FuncFacts | None] = list(quick) or [None] * len(module.funcs)
        for position in left:
            func = module.funcs[position]
            body = decode_body(module, func.code)
            if error is not None:
                continue
            self._at("code", func.code.start)
            try:
                facts[position] = bodies.function(func.type, func.code, body)
            except Invalid as problem:
                error = self._located(problem)
                error.function = module.imported_func_count + position
            except ValidationError as problem:
                error = problem
                error.function = module.imported_func_count + position
        return tuple([found for found in facts if found is not None]), error

    # Places.

    def _at(self, section: str, offset: int | None = None) -> None:
        """What is checked next; without an offset, the section's own."""
        self._section = section
        self._offset = offset
        if offset is None:
            for found in self._module.sections:
                if found.id and found.name == section:
                    self._offset = found.start

    def _located(self, problem: Invalid) -> ValidationError:
        return ValidationError(str(problem), offset=self._offset, section=self._section)

    # Sections.

    def _before_code(self) -> None:
        module, context = self._module, self._context
        self._types()
        self._imports()
        self._functions()
        self._at("tag")
        for tag in module.tags:
            self._add_tag(tag)
        self._at("memory")
        for memory in module.mems:
            self._add_memory(memory)
        context.refs = _declared_functions(module)
        # Tables and globals see all functions, but no global that comes later (spec 3.5.13).
        self._tables()
        self._globals()
        self._datas()
        self._elems()

    def _after_code(self) -> None:
        self._start()
        self._exports()

    def _types(self) -> None:
        module = self._module
        self._at("type")
        for rectype in module.rectypes:
            for offset in add_rectype(self._context, rectype, module.type_offsets):
                self._offset = offset

    def _imports(self) -> None:
        context = self._context
        self._at("import")
        context.bound("imports", len(self._module.imports))
        for item in self._module.imports:
            self._at("import", item.offset)
            desc = item.desc
            if isinstance(desc, TypeUse):
                self._add_function(desc.index)
            elif isinstance(desc, TableType):
                self._add_table(desc)
            elif isinstance(desc, MemType):
                self._add_memory(desc)
            elif isinstance(desc, GlobalType):
                self._add_global(globaltype(context, desc))
            else:
                self._add_tag(desc)
        context.imported_globals = len(context.globals)

    def _add_function(self, type_index: int) -> None:
        context = self._context
        context.functype(type_index)
        context.funcs.append(context.types[type_index])

    def _add_table(self, type_: TableType) -> None:
        context = self._context
        context.tables.append(tabletype(context, type_))
        if len(context.tables) > 1:
            context.need("reference_types", "multiple tables")
        context.bound("tables", len(context.tables))

    def _add_memory(self, type_: MemType) -> None:
        context = self._context
        context.addresses.append(memtype(context, type_).address)
        if len(context.addresses) > 1:
            context.need("multi_memory", "multiple memories")
        context.bound("memories", len(context.addresses))

    def _add_global(self, type_: GlobalType) -> None:
        context = self._context
        context.globals.append(type_)
        context.bound("globals", len(context.globals))

    def _add_tag(self, tag: TagType) -> None:
        context = self._context
        assert isinstance(tag.type, int)
        tagtype(context, tag.type)
        context.tags.append(context.types[tag.type])
        context.bound("tags", len(context.tags))

    def _functions(self) -> None:
        self._at("function")
        self._context.bound("functions", len(self._module.func_types))
        for func in self._module.funcs:
            self._at("function", func.offset)
            self._add_function(func.type)

    def _tables(self) -> None:
        context = self._context
        bodies = BodyValidator(context)
        for table in self._module.tables:
            self._at("table", table.offset)
            self._add_table(table.type)
            elem = context.tables[-1].elem
            if table.init is not None:
                context.need("function_references", "table with an initialiser")
                bodies.constant(table.init, elem, "table")
            elif not defaultable(elem):
                raise Invalid("type mismatch: table of non-null elements needs an initialiser")

    def _globals(self) -> None:
        context = self._context
        bodies = BodyValidator(context)
        for item in self._module.globals:
            self._at("global", item.offset)
            type_ = globaltype(context, item.type)
            bodies.constant(item.init, type_.valtype, "global")
            self._add_global(type_)

    def _datas(self) -> None:
        context = self._context
        bodies = BodyValidator(context)
        self._at("data")
        context.bound("data segments", len(self._module.datas))
        for data in self._module.datas:
            self._at("data", data.offset)
            if data.memory is None:
                context.need("bulk_memory", "passive data segment")
                continue
            address = context.address(data.memory)
            assert data.start is not None
            bodies.constant(data.start, address, "data")
        context.datas = len(self._module.datas)

    def _elems(self) -> None:
        context = self._context
        bodies = BodyValidator(context)
        self._at("element")
        context.bound("element segments", len(self._module.elems))
        for elem in self._module.elems:
            self._at("element", elem.offset)
            context.elems.append(self._elem(bodies, elem))

    def _elem(self, bodies: BodyValidator, elem: Elem) -> RefType:
        context = self._context
        reftype = context.segmenttype(elem.type)
        all_known = (
            isinstance(elem.init, RefFuncs)
            and elem.type == _INDEX_FORM
            and max(elem.init.indices, default=-1) < len(context.funcs)
        )
        for init in () if all_known else elem.init:
            if elem.type == _INDEX_FORM and len(init) == 2 and init[0].op is _REF_FUNC:
                # A plain function index of the binary, as in WebAssembly 1.0.
                self._at("element", init[0].offset)
                context.func(init[0].imm)
            else:
                bodies.constant(init, reftype, "element")
        self._at("element", elem.offset)
        if elem.mode == "passive":
            context.need("bulk_memory", "passive element segment")
        elif elem.mode == "declarative":
            context.need("reference_types", "declarative element segment")
        else:
            assert elem.table is not None
            assert elem.start is not None
            table = context.table(elem.table)
            if not match_reftype(reftype, table.elem):
                raise Invalid(
                    f"type mismatch: element segment's type {reftype!r} does not match table's "
                    f"element type {table.elem!r}"
                )
            bodies.constant(elem.start, table.address, "element")
        return reftype

    def _start(self) -> None:
        if self._module.start is None:
            return
        self._at("start", self._module.start_offset)
        context = self._context
        if context.signature(context.func(self._module.start)) != ((), ()):
            raise Invalid("start function must not have parameters or results")

    def _exports(self) -> None:
        self._at("export")
        self._context.bound("exports", len(self._module.exports))
        names: set[str] = set()
        for export in self._module.exports:
            self._at("export", export.offset)
            self._export(export)
            if export.name in names:
                raise Invalid(f'duplicate export name "{export.name[:100]}"')
            names.add(export.name)

    def _export(self, export: Export) -> None:
        context = self._context
        sizes = {
            "func": ("function", len(context.funcs)),
            "table": ("table", len(context.tables)),
            "memory": ("memory", len(context.addresses)),
            "global": ("global", len(context.globals)),
            "tag": ("tag", len(context.tags)),
        }
        what, size = sizes[export.kind]
        if export.index >= size:
            raise Invalid(f"unknown {what} {export.index}")


def _declared_functions(module: Module) -> frozenset[int]:
    """Functions that the module names outside its bodies and start section (spec 3.5.13)."""
    found = {export.index for export in module.exports if export.kind == "func"}

    def scan(expr: Expr | None) -> None:
        if expr is not None:
            found.update(instr.imm for instr in expr if instr.op is _REF_FUNC)

    for table in module.tables:
        scan(table.init)
    for item in module.globals:
        scan(item.init)
    for elem in module.elems:
        scan(elem.start)
        if isinstance(elem.init, RefFuncs):
            found.update(elem.init.indices)
            continue
        for init in elem.init:
            scan(init)
    return frozenset(found)
