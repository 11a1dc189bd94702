"""The tree that a query becomes, and its Cypher: for GraphQL, and every query language that comes.

In: a tree of frozen values, made without a database. Out: one statement that answers one record; what it may cost.

    tree       what is asked of which twins
    operators  the operators of filters, one row each
    pattern    the syntax of `matches`: a part of RE2's
    automaton  a pattern → the table that the database walks
    cost       how much a tree may read, estimated
    printer    tree → one statement and its parameters
    past       what the graph said at a moment, as Cypher
"""
