/*
 * Intrusive doubly linked list. The node lives in the element; an element is in at most one list
 * per node. A node that is in no list points to itself (after init or remove), so remove is
 * idempotent.
 */
#ifndef TERN_BASE_LIST_H
#define TERN_BASE_LIST_H

#include "base/types.h"

struct tern_list {
    struct tern_list *next;
    struct tern_list *prev;
};

static inline void tern_list_init(struct tern_list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool tern_list_empty(const struct tern_list *head)
{
    return head->next == head;
}

/* tern_list_linked: is the node in a list? */
static inline bool tern_list_linked(const struct tern_list *node)
{
    return node->next != node;
}

static inline void tern_list_insert_between(struct tern_list *node, struct tern_list *prev,
                                            struct tern_list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void tern_list_push_back(struct tern_list *head, struct tern_list *node)
{
    tern_list_insert_between(node, head->prev, head);
}

static inline void tern_list_push_front(struct tern_list *head, struct tern_list *node)
{
    tern_list_insert_between(node, head, head->next);
}

static inline void tern_list_remove(struct tern_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    tern_list_init(node);
}

/* tern_list_front is the first node, or NULL when the list is empty. */
static inline struct tern_list *tern_list_front(const struct tern_list *head)
{
    return tern_list_empty(head) ? NULL : head->next;
}

static inline struct tern_list *tern_list_pop_front(struct tern_list *head)
{
    struct tern_list *node = tern_list_front(head);
    if (node != NULL)
        tern_list_remove(node);
    return node;
}

/* tern_list_take_all moves all of a list, in order, behind another's; from is empty afterwards. */
static inline void tern_list_take_all(struct tern_list *to, struct tern_list *from)
{
    if (tern_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    tern_list_init(from);
}

#define TERN_LIST_ENTRY(node, type, member) TERN_CONTAINER_OF(node, type, member)

/* The element must not be removed inside the loop; the SAFE form allows removing the current one.
 */
#define TERN_LIST_FOREACH(node, head)                                                              \
    for (struct tern_list *node = (head)->next; node != (head); node = node->next)
#define TERN_LIST_FOREACH_SAFE(node, tmp, head)                                                    \
    for (struct tern_list *node = (head)->next, *tmp = node->next; node != (head);                 \
         node = tmp, tmp = node->next)

#endif
