"""The DTDL compiler: JSON texts in, a Catalog of checked interfaces and a GraphPlan out. Pure: no database, no network.

Words: a *document* is one JSON text and the file it came from; an *interface* a frozen value with its contents;
a *problem* names file, line, JSON path, rule, what is wrong and the way out; a *catalog* is every interface of one
moment with its effective (own and inherited) contents and its label; a *plan* is what Neo4j must hold for it.

In order of control flow:

    syntax    files and folders → documents; where a JSON path lies in a text
    grammar   DTDL's classes, properties, limits and identifiers, per version, as tables
    model     the frozen values
    resolve   documents → interfaces (the grammar interpreted), language maps, schemas
    check     CHECKS across interfaces: extends, targets, schemas, names
    catalog   interfaces → labels, ancestors, effective contents
    values    DTDL schema ↔ Neo4j ↔ GraphQL ↔ check, one row a schema
    lower     catalog → GraphPlan: constraints, indexes, the ontology as rows

One turbine through it: `dtdl_models/wind/turbine.json` is read as a document of `dtmi:twingraph:wind:Turbine;1`; resolve
makes an Interface with telemetry `power` (double, kilowatt) that extends `dtmi:twingraph:core:Asset;1`; check finds the
target of `hasComponent`; the catalog gives it the labels `Turbine` and `Asset`; lower asks for an index on
`(:Turbine {serialNumber})` and a row `{dtmi, label, extends, contents}` from which the ontology is drawn in Neo4j Browser.
"""

from app.dtdl.catalog import Catalog, compile_models
from app.dtdl.lower import GraphPlan, lower
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
    "lower",
    "read_documents",
]
