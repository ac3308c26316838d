#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""CRI v1 from its field numbers: api.json -> api.proto and methods.h.

	generate.py proto|methods api.json > FILE

The wire knows numbers and types alone, so names are ours to shorten: the
package is "cri" (C names cri__...), and each map<string,string> is written
as what it is on the wire, a repeated message of key and value, so that one C
type serves all of them.
"""
import json
import re
import sys


def snake(name):
    name = re.sub(r'([A-Z]+)([A-Z][a-z])', r'\1_\2', name)
    return re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name).lower()


def enum(name, values, indent):
    print(f'{indent}enum {name} {{')
    for value, number in values:
        print(f'{indent}\t{value} = {number};')
    print(f'{indent}}}')


def message(name, body):
    body = body if isinstance(body, dict) else {'fields': body}
    assert not body.get('messages'), 'nested messages'
    print(f'message {name} {{')
    for nested, values in body.get('enums', {}).items():
        enum(nested, values, '\t')
    for number, field, kind, *rest in body['fields']:
        label = rest[0] if rest else ''
        if kind.startswith('map<'):
            assert kind == 'map<string,string>', kind
            label, kind = 'repeated', 'MapEntry'
        print(f'\t{label + " " if label else ""}{kind} {field} = {number};')
    print('}')


def proto(api):
    print('// generated from api.json by generate.py')
    print('syntax = "proto3";\npackage cri;')
    for name, values in api['enums'].items():
        enum(name, values, '')
    message('MapEntry', [[1, 'key', 'string'], [2, 'value', 'string']])
    for name, body in api['messages'].items():
        message(name, body)


def methods(api):
    print('/* SPDX-License-Identifier: GPL-2.0-or-later */')
    print('/* generated from api.json by generate.py */')
    print('#pragma once\n\n#include <stdbool.h>\n\n/* X(service, method, request, response, streams) */')
    print('#define CRI_METHODS(X) \\')
    for service, rpcs in api['services'].items():
        for name, request, response, flags in rpcs:
            streams = 'true' if flags else 'false'
            print(f'\tX({service}, {name}, {snake(request)}, {snake(response)}, {streams}) \\')
    print('\t/* end */')


def main():
    with open(sys.argv[2], encoding='utf-8') as f:
        api = json.load(f)
    {'proto': proto, 'methods': methods}[sys.argv[1]](api)


main()
