/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Intrusive doubly linked list; the head is a node too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(head)          \
	{                        \
		&(head), &(head) \
	}

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Safe against removal of the current entry. */
#define list_for_each(pos, head, type, member)                              \
	for (type *pos = list_entry((head)->next, type, member),            \
		  *pos##_next = list_entry(pos->member.next, type, member); \
	     &pos->member != (head);                                        \
	     pos = pos##_next, pos##_next = list_entry(pos->member.next, type, member))

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* The node is left empty, so removing twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}
