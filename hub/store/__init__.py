"""The store: all that the hub keeps, and the only place that knows Pony, SQL or a driver.

The way of a change: ``store`` opens a transaction, ``apply`` takes an operation to ``students``,
``events`` or ``attendances``, and ``deliveries`` keeps the delivery beside it.
"""
