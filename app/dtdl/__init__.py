"""The DTDL compiler: JSON texts in, a Catalog of checked interfaces and a GraphPlan out. Pure: no database, no network.

Words: a *document* is one JSON text and the file it came from; an *element* is anything in it that DTDL has a class for;
an *interface* is the frozen value everything else works with; a *supplement* is a type that an extension lets an element be
co-typed with; a *problem* names file, line and column, JSON path, rule (the reference parser's identifier), what is wrong
and the way out; a *catalog* is every interface of one moment with its effective (own and inherited) contents and its label;
a *plan* is what Neo4j must hold for it.

In order of control flow:

    syntax      files and folders → documents; where a JSON path lies in a text
    metamodel   DTDL's classes, properties and limits per version, as tables
    extensions  what each extension's context adds, as tables; units.txt: quantities and units
    context     @context → version, terms, limits
    literals    strings, numbers, language maps, durations
    elements    documents → elements: the tables interpreted
    standard    the elements DTDL itself defines
    check       RULES across elements: references, names, depth, co-types
    analysis    read, ask a resolver for what is missing, check: a graph of elements or problems
    repository  where a resolver may find interfaces
    model       the frozen values
    resolve     elements → interfaces
    catalog     interfaces → labels, ancestors, effective contents
    advice      recommendations, shown as warnings
    payload     is this JSON value of that schema? compiled once a schema
    kinds       what a column of a schema's values holds
    lower       catalog → GraphPlan: constraints, indexes, the ontology as rows
    diff        what changed between two interfaces, and what of it breaks
    reference   a model set as Markdown

The tables are compared with the reference's own metamodel by `tests/dtdl/test_metamodel.py`; `python -m
tests.dtdl.conformance DIR` scores the compiler on cases in the reference's format. Everything of one file is told at once;
what lies across elements is only checked when each of them is right by itself, or mistakes would be told twice.

One turbine through it: `dtdl_models/wind/turbine.json` is read as a document; elements makes an Interface with a Telemetry
`power` co-typed Power, whose unit must be one of PowerUnit; check finds the target of `extends`; resolve freezes it; the
catalog gives it the labels `Turbine` and `Asset`; lower asks for an index on `(:Turbine {serialNumber})` and a row
`{dtmi, label, extends, contents}` from which the ontology is drawn in Neo4j Browser.
"""

from app.dtdl.catalog import Catalog, compile_models
from app.dtdl.lower import GraphPlan, is_indexed, lower, unstorable
from app.dtdl.model import (
    Array,
    Command,
    Component,
    Enum,
    Interface,
    Map,
    Object,
    Payload,
    Primitive,
    Property,
    Relationship,
    Schema,
    Telemetry,
)
from app.dtdl.syntax import Document, Problem, read_documents

__all__ = [
    "Array",
    "Catalog",
    "Command",
    "Component",
    "Document",
    "Enum",
    "GraphPlan",
    "Interface",
    "Map",
    "Object",
    "Payload",
    "Primitive",
    "Problem",
    "Property",
    "Relationship",
    "Schema",
    "Telemetry",
    "compile_models",
    "is_indexed",
    "lower",
    "read_documents",
    "unstorable",
]
